"""The norm of the gradient of an MLP's data loss, by backpropagation in NumPy, which is faster here than autograd."""

import numpy as np
import scipy.special

from study.data import Part
from study.models import MLP
from study.training.general import GRADIENT_IMAGES

IMAGES = 250  # at a time: their activations fit in the cache


def data_gradient_norm(model: MLP, train: Part) -> float:
    """The norm over all parameters of the gradient of `general.data_gradient_norm`, up to rounding.

    Args:
        model: fully connected layers with ReLUs between them.
        train: the training split, of which the first 1,000 images are used.
    """
    layers = [*model.hidden, model.output]
    weights = [layer.weight.detach().numpy() for layer in layers]
    biases = [layer.bias.detach().numpy() for layer in layers]
    gradients = [np.zeros_like(values) for values in (*weights, *biases)]
    count = min(GRADIENT_IMAGES, len(train))
    for start in range(0, count, IMAGES):
        images, labels = train.take(slice(start, min(start + IMAGES, count)))
        inputs = [images.flatten(1).numpy()]  # of each layer
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            hidden = inputs[-1] @ weight.T
            hidden += bias
            inputs.append(np.maximum(hidden, 0, out=hidden))
        delta = scipy.special.softmax(inputs[-1] @ weights[-1].T + biases[-1], axis=1)
        delta[np.arange(len(delta)), labels.numpy()] -= 1
        delta /= count
        for layer in reversed(range(len(layers))):
            gradients[layer] += delta.T @ inputs[layer]
            gradients[len(layers) + layer] += delta.sum(axis=0)
            if layer:
                delta = delta @ weights[layer]
                delta *= inputs[layer] > 0
    return float(np.sqrt(sum(np.vdot(gradient, gradient) for gradient in gradients)))
