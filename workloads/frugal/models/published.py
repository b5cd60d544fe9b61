"""Published small convolutional networks, torchvision's, for images of one or three channels and any size.

At the size they were published for they are the published networks, with groups of channels normalised in the place of
batches. A smaller image would be one pixel long before the end: strides are taken back, first ones first, until the
last map has `LEAST_SIDE` pixels on its shorter side, or as many as the image. Weights are drawn anew, none are
downloaded. torchvision is imported when such a model is asked for. They learn at about a quarter of the default rate,
``--lr 5e-4``; at the default some never start.

Sources: SqueezeNet: Iandola et al. (2016), in its version 1.1; MobileNetV2: Sandler et al. (2018); MobileNetV3: Howard
et al. (2019); EfficientNet: Tan & Le (2019); group normalisation: Wu & He (2018).
"""

from __future__ import annotations

import math

from torch import nn

from frugal.models.plain import Shape

IMAGENET_CLASSES = 1000
LEAST_SIDE = 4
CHANNELS_PER_GROUP = 16  # the best in Wu & He's table 3


def squeezenet(shape: Shape, classes: int) -> nn.Module:
    """SqueezeNet 1.1; it never normalised anything."""
    from torchvision import models  # type: ignore[import-untyped]  # a second to import, and only some models need it

    return _fitted(models.squeezenet1_1(num_classes=classes), shape)


def mobilenet_v2(shape: Shape, classes: int) -> nn.Module:
    """MobileNetV2."""
    return _mobilenet_v2(shape, classes, width=1.0)


def mobilenet_v2_035(shape: Shape, classes: int) -> nn.Module:
    """MobileNetV2 with 0.35 of its channels, the narrowest that was published."""
    return _mobilenet_v2(shape, classes, width=0.35)


def mobilenet_v3_small(shape: Shape, classes: int) -> nn.Module:
    """MobileNetV3-Small."""
    from torchvision import models

    return _fitted(models.mobilenet_v3_small(num_classes=classes, norm_layer=group_norm), shape)


def efficientnet_b0(shape: Shape, classes: int) -> nn.Module:
    """EfficientNet-B0."""
    from torchvision import models

    network = models.efficientnet_b0(num_classes=classes, norm_layer=group_norm)
    # Drawn by the number of classes; of ten instead of a thousand the first losses would be huge.
    widest = 1 / math.sqrt(IMAGENET_CLASSES)
    nn.init.uniform_(network.classifier[-1].weight, -widest, widest)
    return _fitted(network, shape)


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalises at least `CHANNELS_PER_GROUP` channels together, or all: as near to that number as divides them."""
    groups = max(1, channels // CHANNELS_PER_GROUP)
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


def _mobilenet_v2(shape: Shape, classes: int, width: float) -> nn.Module:
    from torchvision import models

    return _fitted(models.mobilenet_v2(num_classes=classes, width_mult=width, norm_layer=group_norm), shape)


def _fitted(network: nn.Module, shape: Shape) -> nn.Module:
    channels, height, width = shape
    _take_back_strides(network, min(height, width))
    if channels != 3:
        _replace_first(network, channels)
    return network


def _take_back_strides(network: nn.Module, side: int) -> None:
    """Make the first strides of 2 strides of 1, so that the others leave `LEAST_SIDE` pixels of ``side``."""
    halving = [
        (parent, name, module)
        for parent in network.modules()
        for name, module in parent.named_children()
        if isinstance(module, nn.Conv2d | nn.MaxPool2d) and module.stride in (2, (2, 2))
    ]
    kept = 0
    while kept < len(halving) and -(-side // 2 ** (kept + 1)) >= LEAST_SIDE:
        kept += 1
    for parent, name, module in halving[: len(halving) - kept]:
        if isinstance(module, nn.Conv2d):
            module.stride = (1, 1)
            module.padding = tuple(edge // 2 for edge in module.kernel_size)  # SqueezeNet's first has none
        else:
            setattr(parent, name, nn.Identity())


def _replace_first(network: nn.Module, channels: int) -> None:
    """Let the first convolution take ``channels``; its weights are drawn as those of its like in the network."""
    parent, name, first = next(
        (parent, name, module)
        for parent in network.modules()
        for name, module in parent.named_children()
        if isinstance(module, nn.Conv2d)
    )
    replacement = nn.Conv2d(
        channels,
        first.out_channels,
        kernel_size=first.kernel_size,  # type: ignore[arg-type]
        stride=first.stride,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    if replacement.bias is None:
        nn.init.kaiming_normal_(replacement.weight, mode="fan_out")
    else:  # SqueezeNet's
        nn.init.kaiming_uniform_(replacement.weight)
        nn.init.zeros_(replacement.bias)
    setattr(parent, name, replacement)
