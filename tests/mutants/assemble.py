"""Makes a crate of src/auth and the libraries that it names, with the tests of one of its folders.

assemble.py CRATE FOLDER: FOLDER is one of src/auth, or `.` for the files beside the folders.

The tests of the other folders are left out: a rule's own tests are to notice a change, and the crate builds in half the time.
"""

import pathlib
import re
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBRARIES = """aes argon2 base64 blowfish chacha20poly1305 hashbrown hex hmac md-5 serde serde_json sha1 sha2 subtle
    thiserror zeroize""".split()
INLINE = re.compile(r"^#\[cfg\(test\)\]\nmod \w+ \{", re.MULTILINE)
DECLARED = re.compile(r"^#\[cfg\(test\)\]\n(?:#\[path.*\n)?mod \w+;\n", re.MULTILINE)
# Built a thousand times: nothing is optimized but the libraries, and nobody debugs it.
MANIFEST = """[package]
name = "portcullis"
version = "0.0.0"
edition = "2024"
autotests = false

[dependencies]
{libraries}

[dev-dependencies]
{proptest}

[profile.dev]
opt-level = 0
debug = false

[profile.dev.package."*"]
opt-level = 2

[workspace]
"""


def library(name):
    """The line of the gate's own manifest."""
    found = re.search(rf"^{re.escape(name)} = .*$", (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    return found[0] if found else sys.exit(f"Cargo.toml names no {name}")


def without_tests(text):
    """A file up to its tests; they are last."""
    found = INLINE.search(text)
    return DECLARED.sub("", text[: found.start()] if found else text)


def main():
    crate, folder = pathlib.Path(sys.argv[1]), sys.argv[2]
    for part in ("src", "tests"):
        shutil.rmtree(crate / part, ignore_errors=True)
    shutil.copytree(ROOT / "src/auth", crate / "src/auth")
    shutil.copytree(ROOT / "tests/vectors", crate / "tests/vectors")
    shutil.copy(ROOT / "Cargo.lock", crate)
    (crate / ".cargo").mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests/mutants/exclude.toml", crate / ".cargo/mutants.toml")
    (crate / "src/lib.rs").write_text("//! The rules alone.\n\npub mod auth;\n")
    manifest = MANIFEST.format(libraries="\n".join(map(library, LIBRARIES)), proptest=library("proptest"))
    (crate / "Cargo.toml").write_text(manifest)
    for path in (crate / "src/auth").rglob("*.rs"):
        parts = path.relative_to(crate / "src/auth").parts
        if (parts[0] if len(parts) > 1 else ".") != folder:
            path.write_text(without_tests(path.read_text()))


main()
