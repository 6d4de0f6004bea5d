"""The native inner loops. Everything else about the package stands in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("src/longshore/native")

setup(
    ext_modules=[
        Extension(
            "longshore.native._loops",
            sources=sorted(str(file) for file in NATIVE.glob("*.c")),
            depends=sorted(str(file) for file in NATIVE.glob("*.h")),
            extra_compile_args=["-std=c11", "-O2", "-fvisibility=hidden"],
            libraries=["dl"],  # a library of its own before glibc 2.34
            optional=True,  # without a compiler the pure Python path does the same, slower
        )
    ]
)
