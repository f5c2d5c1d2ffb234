"""Which providers there are: found by entry point, so that a new cloud is a new package.

A provider's module brings its vendor's SDK, which is an extra. What is not installed, and what
is installed and broken, must both be a sentence that says what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from tabular.deploy.names import DEFAULT_PROVIDER, ENTRY_POINT_GROUP, OURS, VENDORS, provider_names
from tabular.deploy.provider import Provider, ProviderOptions
from tabular.errors import ConfigError, TabularError, UsageError, nearest

DISTRIBUTION = "inferloop-tabular"

__all__ = ["DEFAULT_PROVIDER", "ENTRY_POINT_GROUP", "load_provider", "provider_names"]


def load_provider(name: str, options: ProviderOptions | None = None) -> Provider:
    """Find a provider by entry point and construct it.

    Raises:
        UsageError: no provider of that name is installed.
        ConfigError: its extra is not installed, or the plug-in is broken.
    """
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        factory = _load(point)
        try:
            return factory(options or ProviderOptions())
        except TabularError:
            raise
        except ImportError as error:
            # Many load their SDK when they are constructed and not when they are imported.
            raise _unloadable(point, error) from error
        except Exception as error:
            raise _broken(point, error) from error
    raise _not_installed(name)


def _not_installed(name: str) -> UsageError:
    known = provider_names()
    installed, code = ", ".join(known), "usage.unknown-provider"
    if name not in VENDORS:
        hint = f"{nearest(name, known)}installed providers: {installed}"
        return UsageError(f"no provider {name!r} is installed", hint=hint, code=code)
    ours = f"{', '.join(OURS[:-1])} and {OURS[-1]}"
    return UsageError(
        f"no provider {name!r} is installed: this release brings {ours}",
        hint=f"a spec may say {name}, and a plug-in may bring it; installed providers: {installed}",
        code=code,
    )


def _load(point: EntryPoint) -> Callable[[ProviderOptions], Provider]:
    try:
        factory = point.load()
    except TabularError:
        raise
    except ImportError as error:
        raise _unloadable(point, error) from error
    except Exception as error:
        # A plug-in may fail in any way; whichever it is, the user is told whose it is.
        raise _broken(point, error) from error
    if not callable(factory):
        raise _broken(point, TypeError(f"{point.value} cannot be called"))
    return cast("Callable[[ProviderOptions], Provider]", factory)


def _unloadable(point: EntryPoint, error: ImportError) -> ConfigError:
    """An import that failed: for want of a package, or because the plug-in is broken."""
    missing = (error.name or "").partition(".")[0]
    own = point.module.partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or missing in ("", own, "tabular"):
        return _broken(point, error)
    home = _distribution(point)
    extra = f"[{point.name}]" if home == DISTRIBUTION else ""
    return ConfigError(
        f"provider {point.name} needs the package {missing!r}, which is not installed",
        where=home,
        hint=f"pip install '{home}{extra}'",
        code="config.missing-extra",
    )


def _broken(point: EntryPoint, error: Exception) -> ConfigError:
    return ConfigError(
        f"provider {point.name} of {_distribution(point)} cannot be loaded: "
        f"{type(error).__name__}: {error}",
        where=point.value,
        hint=f"pip install --upgrade {_distribution(point)}; or remove it",
        code="config.broken-plugin",
    )


def _distribution(point: EntryPoint) -> str:
    """Name of the distribution that brings the entry point."""
    return point.dist.name if point.dist else "an unknown distribution"
