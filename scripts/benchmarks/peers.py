"""The same training in other libraries, as their users write it. Each runs in its own process, in .venv-bench.

    python peers.py NAME --data FILE --epochs N [--reg l1 --hidden 1000 --batch 32 --model mlp] [--core 0]

Each trains on the 60,000 images of Fashion-MNIST: inputs-hidden-10, Adam 1e-3, cross-entropy plus penalty on all
parameters, in float32. Each computes the mean penalized loss of an epoch, and scores train and val after each epoch, in
eval mode and without the penalty. With --running, all except JAX score train during training instead. This is less work
and gives another number, because the weights change during the epoch. With --core, it uses one thread on that core,
otherwise the library's default. Prints the val accuracy of every epoch as JSON.
"""

import argparse
import itertools
import json
import os
import time

LAM = {"none": 0.0, "l1": 1e-4, "l2": 1e-2, "l2_norm": 1e-2}
LR = 1e-3
ENDED: list[float] = []  # when each epoch ended
SCORED = 1000  # batch size of passes that only score


def load(file: str):
    """Yield images, float32 (n, 784) in [0, 1], and labels, int64 (n,), of train, then of val."""
    import numpy as np

    with np.load(file) as arrays:
        for part in ("train", "val"):
            yield (arrays[f"{part}_images"] / np.float32(255)).reshape(-1, 784).astype(np.float32)
            yield arrays[f"{part}_labels"].astype(np.int64)


def torch_parts(options, flatten: bool = True):
    """Return the data sets of train and val, the model, and a function from its parameters to the penalty."""
    import torch
    from torch.utils.data import TensorDataset

    if options.core is not None:
        torch.set_num_threads(1)
    arrays = [torch.from_numpy(array) for array in load(options.data)]
    model = torch_model(options).to(options.device)
    lam = LAM[options.reg]
    penalty = {
        "none": lambda parameters: 0.0,
        "l1": lambda parameters: lam * sum(p.abs().sum() for p in parameters),
        "l2": lambda parameters: lam * sum(p.square().sum() for p in parameters),
        "l2_norm": lambda parameters: lam * sum(torch.linalg.vector_norm(p) for p in parameters),
    }[options.reg]
    return TensorDataset(*arrays[:2]), TensorDataset(*arrays[2:]), model, penalty


def torch_model(options):
    """Return the model of --model. Its cnn has the layers of regstudy's."""
    from torch import nn

    width = options.hidden
    if options.model == "resnet18":
        import torchvision

        model = torchvision.models.resnet18(num_classes=10)
        model.conv1, model.maxpool = nn.Conv2d(1, 64, 3, padding=1, bias=False), nn.Identity()
        return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), model)
    if options.model == "cnn":
        blocks = [
            layer
            for channels in ((1, 32), (32, 64))
            for layer in (nn.Conv2d(*channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        ]
        rest = [nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Linear(128, 10)]
        return nn.Sequential(nn.Unflatten(1, (1, 28, 28)), *blocks, *rest)
    norm = [nn.BatchNorm1d(width)] if options.model == "batch_norm" else []
    dropout = [nn.Dropout(0.5)] if options.model == "dropout" else []
    return nn.Sequential(nn.Linear(784, width), *norm, nn.ReLU(), *dropout, nn.Linear(width, 10))


def notebook(options) -> list[float]:
    """The textbook's loop: DataLoader, penalty by autograd, torch's default Adam, train scored in training batches."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader

    train, val, model, penalty = torch_parts(options)
    train = DataLoader(train, batch_size=options.batch, shuffle=True)
    val = DataLoader(val, batch_size=SCORED)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    accuracies = []

    def on_device(loader):
        return loader if options.device == "cpu" else ([part.to(options.device) for part in batch] for batch in loader)

    def scores(loader):
        loss, correct = 0.0, 0
        model.eval()
        with torch.no_grad():
            for images, labels in on_device(loader):
                logits = model(images)
                loss += F.cross_entropy(logits, labels, reduction="sum").item()
                correct += (logits.argmax(dim=1) == labels).sum().item()
        model.train()
        return loss / len(loader.dataset), correct / len(loader.dataset)

    for _ in range(options.epochs):
        objective, correct = 0.0, 0
        for images, labels in on_device(train):
            optimizer.zero_grad()
            logits = model(images)
            loss = F.cross_entropy(logits, labels) + penalty(model.parameters())
            loss.backward()
            optimizer.step()
            objective += loss.item()
            if options.running:
                correct += (logits.argmax(dim=1) == labels).sum().item()
        if not options.running:
            scores(train)
        accuracies.append(scores(val)[1])
        ENDED.append(time.perf_counter())
    return accuracies


def lightning(options) -> list[float]:
    """PyTorch Lightning: a LightningModule, metrics logged per epoch."""
    import logging
    import warnings

    import lightning.pytorch as pl
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    train, val, model, penalty = torch_parts(options)
    accuracies = []

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = model

        def training_step(self, batch, _):
            images, labels = batch
            logits = self.model(images)
            loss = F.cross_entropy(logits, labels) + penalty(self.model.parameters())
            self.log("objective", loss, on_step=False, on_epoch=True)
            if options.running:
                self.log("running", (logits.argmax(1) == labels).float().mean(), on_step=False, on_epoch=True)
            return loss

        def validation_step(self, batch, _, dataloader_idx=0):
            images, labels = batch
            logits, name = self.model(images), ("val", "train")[dataloader_idx]
            self.log(f"{name}_loss", F.cross_entropy(logits, labels), add_dataloader_idx=False)
            self.log(f"{name}_accuracy", (logits.argmax(1) == labels).float().mean(), add_dataloader_idx=False)

        def on_validation_epoch_end(self):
            accuracies.append(float(self.trainer.callback_metrics["val_accuracy"]))
            ENDED.append(time.perf_counter())

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=LR)

    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    trainer = pl.Trainer(max_epochs=options.epochs, accelerator=options.device, num_sanity_val_steps=0, **quiet)
    scored = [DataLoader(part, batch_size=SCORED) for part in ((val,) if options.running else (val, train))]
    trainer.fit(Module(), DataLoader(train, batch_size=options.batch, shuffle=True), scored)
    return accuracies


def skorch(options) -> list[float]:
    """skorch: a NeuralNetClassifier whose loss has the penalty."""
    import torch
    from skorch import NeuralNetClassifier
    from skorch.callbacks import Callback, EpochScoring
    from skorch.helper import predefined_split

    train, val, model, penalty = torch_parts(options)

    class Penalized(NeuralNetClassifier):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            loss = super().get_loss(y_pred, y_true, X=X, training=training)
            return loss + penalty(self.module_.parameters()) if training else loss

    class TrainScores(Callback):
        def on_epoch_end(self, net, dataset_train=None, **_):
            correct = loss = 0.0
            for images, labels in net.get_iterator(dataset_train, training=False):
                logits = net.evaluation_step((images, labels))
                loss += float(net.criterion_(logits, labels)) * len(labels)
                correct += int((logits.argmax(1) == labels).sum())
            net.history.record("train_loss_scored", loss / len(dataset_train))
            net.history.record("train_acc", correct / len(dataset_train))

    running = EpochScoring("accuracy", on_train=True, name="train_acc", lower_is_better=False)
    net = Penalized(
        model,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LR,
        batch_size=options.batch,
        max_epochs=options.epochs,
        iterator_train__shuffle=True,
        iterator_valid__batch_size=SCORED,
        train_split=predefined_split(val),
        callbacks=[running if options.running else TrainScores()],
        verbose=0,
    )
    net.fit(train, None)
    return net.history[:, "valid_acc"]


def keras(options) -> list[float]:
    """Keras 3 on TensorFlow: regularizers of the layers, compile and fit."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow

    if options.core is not None:
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    lam = LAM[options.reg]
    penalty = {
        "none": None,
        "l1": keras.regularizers.L1(lam),
        "l2": keras.regularizers.L2(lam),
        "l2_norm": lambda w: lam * keras.ops.sqrt(keras.ops.sum(keras.ops.square(w)) + 1e-24),
    }[options.reg]
    images, labels, val_images, val_labels = load(options.data)
    both = {"kernel_regularizer": penalty, "bias_regularizer": penalty}
    model = keras.Sequential(
        [keras.Input((784,)), keras.layers.Dense(options.hidden, "relu", **both), keras.layers.Dense(10, **both)]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(LR),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )

    class TrainScores(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(images, labels, batch_size=SCORED, verbose=0)

    history = model.fit(
        *(images, labels),
        batch_size=options.batch,
        epochs=options.epochs,
        validation_data=(val_images, val_labels),
        validation_batch_size=SCORED,
        callbacks=[] if options.running else [TrainScores()],
        verbose=0,
    )
    return history.history["val_accuracy"]


def jax(options) -> list[float]:
    """JAX with optax: a whole epoch, scores included, in one jitted function."""
    if options.core is not None:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax

    images, labels, val_images, val_labels = map(jnp.asarray, load(options.data))
    lam, count, size = LAM[options.reg], len(images), options.batch
    penalty = {
        "none": lambda leaves: 0.0,
        "l1": lambda leaves: lam * sum(jnp.abs(w).sum() for w in leaves),
        "l2": lambda leaves: lam * sum(jnp.square(w).sum() for w in leaves),
        "l2_norm": lambda leaves: lam * sum(jnp.sqrt(jnp.square(w).sum() + 1e-24) for w in leaves),
    }[options.reg]

    def initial(key, inputs, outputs):
        bound = inputs**-0.5
        keys = jax.random.split(key)
        shapes = ((inputs, outputs), (outputs,))
        return [jax.random.uniform(k, s, minval=-bound, maxval=bound) for k, s in zip(keys, shapes, strict=True)]

    def logits_of(parameters, x):
        (w1, b1), (w2, b2) = parameters
        return jax.nn.relu(x @ w1 + b1) @ w2 + b2

    def objective(parameters, x, y):
        data_loss = optax.softmax_cross_entropy_with_integer_labels(logits_of(parameters, x), y).mean()
        return data_loss + penalty(jax.tree.leaves(parameters))

    optimizer = optax.adam(LR)

    def scores(parameters, x, y):
        def of_batch(batch):
            logits = logits_of(parameters, batch[0])
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch[1])
            return losses.sum(), (logits.argmax(1) == batch[1]).sum()

        losses, correct = jax.lax.map(of_batch, (x.reshape(-1, 1000, 784), y.reshape(-1, 1000)))
        return losses.sum() / len(x), correct.sum() / len(x)

    @jax.jit
    def epoch(parameters, state, order):
        def step(carry, rows):
            parameters, state = carry
            loss, gradients = jax.value_and_grad(objective)(parameters, images[rows], labels[rows])
            updates, state = optimizer.update(gradients, state)
            return (optax.apply_updates(parameters, updates), state), loss

        (parameters, state), losses = jax.lax.scan(step, (parameters, state), order)
        return (
            parameters,
            state,
            losses.mean(),
            scores(parameters, images, labels),
            scores(parameters, val_images, val_labels),
        )

    first, second = jax.random.split(jax.random.key(0))
    parameters = [initial(first, 784, options.hidden), initial(second, options.hidden, 10)]
    state, generator, accuracies = optimizer.init(parameters), np.random.default_rng(0), []
    for _ in range(options.epochs):
        order = generator.permutation(count)[: count // size * size].reshape(-1, size)
        parameters, state, _, _, (_, accuracy) = epoch(parameters, state, order)
        accuracies.append(float(accuracy))
    return accuracies


PEERS = {f.__name__: f for f in (notebook, lightning, keras, skorch, jax)}


def main() -> None:
    """Train with the library that the command line names, and print its val accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--reg", choices=LAM, default="l1")
    parser.add_argument("--hidden", type=int, default=1000)
    parser.add_argument("--model", choices=("mlp", "cnn", "resnet18", "batch_norm", "dropout"), default="mlp")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", action="store_true", help="print the seconds from epoch to epoch, not accuracies")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--running", action="store_true", help="score train during training")
    parser.add_argument("--core", type=int)
    options = parser.parse_args()
    if options.model != "mlp" and options.name not in ("notebook", "lightning"):
        parser.error("--model is for notebook and lightning only")
    if options.core is not None:
        os.environ["OMP_NUM_THREADS"] = "1"
        os.sched_setaffinity(0, {options.core})
    accuracies = PEERS[options.name](options)
    seconds = [after - before for before, after in itertools.pairwise(ENDED)]
    print(json.dumps(seconds if options.seconds else accuracies))


if __name__ == "__main__":
    main()
