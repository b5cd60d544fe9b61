"""Techniques by name: ``pruning`` or ``pruning,sparsity=0.8`` or ``package.module:Class,option=value``.

The names are the modules of `frugal.techniques`; the colon form reaches a user's own class outside this package. Only
what is named is imported: one technique's libraries never slow another's start.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import typing
from types import ModuleType

from frugal import techniques
from frugal.errors import TechniqueError
from frugal.technique import Technique, Value

_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def available() -> list[str]:
    """The names that `create` knows."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(techniques.__path__))


def create(spec: str) -> Technique:
    """The technique that ``spec`` asks for.

    Raises:
        TechniqueError: No such technique or option, or a value of the wrong type.
    """
    name, *settings = spec.split(",")
    found = find(name)
    kinds = _option_types(found)
    options: dict[str, Value] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if key not in kinds or not equals:
            known = ", ".join(f"{option}=…" for option in kinds) or "none"
            raise TechniqueError(f"--with {spec}: {setting!r} is not an option of {name!r}; its options: {known}")
        if key in options:
            raise TechniqueError(f"--with {spec}: {key} is given twice: leave one out")
        options[key] = _parsed(spec, key, text.strip(), kinds[key])
    try:
        return found(**options)
    except (TypeError, ValueError) as error:
        raise TechniqueError(f"--with {spec}: {error}") from error


def options(found: type[Technique]) -> dict[str, Value]:
    """The options of a technique and their defaults; None stands also for one that has none."""
    if not dataclasses.is_dataclass(found):
        return {}
    fields = [field for field in dataclasses.fields(found) if field.init]
    return {field.name: None if field.default is dataclasses.MISSING else field.default for field in fields}


def find(name: str) -> type[Technique]:
    """The class that a technique's name stands for.

    Raises:
        TechniqueError: There is none.
    """
    module_name, colon, class_name = name.partition(":")
    if not colon:
        if name not in available():
            raise TechniqueError(
                f"--with {name}: no technique of that name; available: {', '.join(available()) or 'none'}; "
                "your own: package.module:Class"
            )
        return _only_technique(importlib.import_module(f"{techniques.__name__}.{name.replace('-', '_')}"))
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        raise TechniqueError(f"--with {name}: {error}; write package.module:Class of an importable package") from error
    if not (isinstance(found, type) and issubclass(found, Technique)):
        raise TechniqueError(f"--with {name}: {class_name} is not a subclass of frugal.technique.Technique")
    return found


def _only_technique(module: ModuleType) -> type[Technique]:
    own = [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Technique) and value.__module__ == module.__name__ and hasattr(value, "name")
    ]
    if len(own) != 1:
        raise TechniqueError(f"module {module.__name__} must hold exactly one technique, it holds {len(own)}")
    return own[0]


def _option_types(found: type[Technique]) -> dict[str, type]:
    if not dataclasses.is_dataclass(found):
        return {}
    hints = typing.get_type_hints(found)
    return {field.name: hints[field.name] for field in dataclasses.fields(found) if field.init}


def _parsed(spec: str, key: str, text: str, kind: type) -> Value:
    try:
        if kind is bool:
            return _BOOLEANS[text.lower()]
        if kind in (int, float, str):
            return typing.cast("Value", kind(text))
    except (KeyError, ValueError):
        raise TechniqueError(f"--with {spec}: {key}={text!r} is not a value of type {kind.__name__}") from None
    raise TechniqueError(f"--with {spec}: {key} can only be set from Python")
