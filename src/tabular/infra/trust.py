"""``python -m tabular.infra.trust OUT FILE…``: the public authorities and private ones in one file.

Half of the libraries below us take one file of authorities and look at nothing else, so a private
one given to them would take the public ones away. A container makes the joined file when it
starts, and names it to all of them: SSL_CERT_FILE, REQUESTS_CA_BUNDLE and their like.
"""

from __future__ import annotations

import argparse
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tabular.errors import ConfigError, TabularError
from tabular.infra.certificates import ends

# Where systems keep the public ones, if OpenSSL's own default file is not there.
PUBLIC = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 written, 1 not."""
    parser = argparse.ArgumentParser(prog="python -m tabular.infra.trust")
    parser.add_argument("out", type=Path, help="file that is written")
    parser.add_argument("files", nargs="+", type=Path, help="private authorities, PEM")
    options = parser.parse_args(arguments)
    try:
        count = join(options.out, options.files)
    except TabularError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.out} has {count} private authorities beside the public ones")
    return 0


def join(out: Path, files: Sequence[Path], *, public: Sequence[str] = PUBLIC) -> int:
    """Write one file with the public authorities and those of other files.

    Args:
        out: is written whole or not at all.
        files: PEM; each must hold at least one certificate that can be read.
        public: where the public ones may be, besides OpenSSL's own place and certifi's.

    Returns:
        How many private certificates there are.

    Raises:
        ConfigError: a file that cannot be read or holds none; no public ones anywhere.
    """
    count, texts = 0, [_public(public)]
    for file in files:
        count += len(ends(file))
        texts.append(file.read_text(encoding="utf-8"))
    part = out.with_name(f"{out.name}.part")
    part.write_text("\n".join(text.strip() for text in texts) + "\n", encoding="utf-8")
    part.replace(out)
    return count


def _public(places: Sequence[str]) -> str:
    for place in _places(places):
        path = Path(place)
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ConfigError(
        "there is no file of public authorities",
        where=", ".join(places),
        hint="install the system's package ca-certificates",
    )


def _places(places: Sequence[str]) -> Iterator[str]:
    # Not what SSL_CERT_FILE names: that is the file which is being written.
    yield ssl.get_default_verify_paths().openssl_cafile
    yield from places
    import certifi

    yield certifi.where()


if __name__ == "__main__":
    sys.exit(main())
