"""Keys, values and flags that command lines are made of, sensible ones and others."""

from study.config.schema import StudySchema


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


KEYS = [
    *StudySchema.__dataclass_fields__,
    *words(
        """
        model.hidden model.dropout model.norm
        model.activation data.standardize optimizer.lr optimizer.momentum reg.scope reg.parts reg.ramp
        reg.schedule reg.lam reg._target_ reg.ratio data.root data.split data.val_size data.train_size data.label_noise
        data._target_ tune.trials tune.seeds tune.spaces.l1.lam tune.shared.optimizer.lr tune.search experiment
        +experiment +reg@model reg@reg ~reg ~lam +lam ++lam +new at baseline phase allow figures style usetex
        export spread filter.reg filter.nope name filter variants hydra hydra.mode hydra.job.name hydra/launcher
        hydra/sweeper remove hydra.sweep.dir hydra.searchpath hydra.run.dir hydra/job_logging hydra.verbose
        """
    ),
    *("defaults", "_target_", ""),
]
VALUES = [  # that Hydra's grammar can read
    *words(
        r"""
        null true false 0 1 2 -1 0.5 1e-4 1e400 nan inf -inf 9999999999999999999999999 1_000 08 / .. . ??? '' a
        none l1 l2 l1,l2 combine digits mlp linear adam sgd book none,l1,none best last epochs gap holdout
        textbook warmup weights hidden.* study.models.mlp no.such math.pi [] [0] [1,2] [[1],[2]] [a,[b,{c:d}]]
        {} {a:1} {a:{b:[1]}} {1:2} [null] [true,1.5] 0,1 1e-4,1e-3 range(0,3) range(0,9,0) range(9) range(0,1e9)
        choice(l1,l2) glob(*) interval(0,1) sort(3,1) shuffle(1,2) ${lam} ${optimizer.lr} ${nope} ${reg}
        ${oc.env:NOPE} ${oc.env:HOME} ${seed:1} ${hydra:job} 'λ' 'L¹' 'a/b' '../x' a\,b {reg:none} [{}]
        [{reg:l1,seeds:3}] [{lam:{a:1}}] [{reg:none},{reg:l1,lam:[1e-5,1e-4]}] {spaces:{l1:{lam:[1]}}}
        [{reg:l1,lam:1e-5},{reg:dropout,lam:0.25}] [{reg:l1,lam:${lam}}] [epochs,nope] [gap,nope] '.*bias' '('
        {hidden.*:1,output.*:0.1} {all:-1} {weights:x} '[{reg:l1}]'
        """
    ),
    *("", "'x y'", "x" * 300),
]
ODD = [
    *words("""λ L¹ é 日本 \u202e ' " a'b \\ ~ ? ! # % & a=b = @ * - ( .*bias ${ [ } [1, {a: a:b:c \x7f"""),
    *("a b", "1 2", "\t", "\n", "a\nb", "!!python/object:os.system x"),
]
FLAGS = [
    *words(
        """
        -m --multirun --help -h --hydra-help --version --cfg job --resolve --package --info --config-dir mine
        --config-dir=nowhere --config-name=none --config-path --shell-completion -c --nope --run -r
        --experimental-rerun --config-name config - -- analyze status RUN small @file
        """
    ),
]
