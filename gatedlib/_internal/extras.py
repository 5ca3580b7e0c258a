"""Optional dependencies: the packages for plots, explorers, pictures and files of results."""

from importlib.util import find_spec

PACKAGES = {
    "plot": ("matplotlib",),
    "explore": ("matplotlib", "anywidget"),
    "images": ("sklearn", "pooch", "optax"),
    "netcdf": ("netCDF4",),
}
"""The packages that each extra of gatedlib brings, by the names under which they are imported."""


def require_extra(name: str, purpose: str) -> None:
    """Require that the packages of an extra are installed.

    Raises:
        ModuleNotFoundError: if one is missing; it names the line that installs it.

    Example:
        >>> from gatedlib._internal.extras import require_extra
        >>> require_extra("plot", "plotting")
    """
    missing = [package for package in PACKAGES[name] if find_spec(package) is None]
    if missing:
        install = f'pip install "gatedlib[{name}]"'
        raise ModuleNotFoundError(f"{purpose} needs {', '.join(missing)}. Install: {install}", name=missing[0])
