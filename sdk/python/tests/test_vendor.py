"""Which packages come along with a script, and why others do not."""

from __future__ import annotations

import unittest
from pathlib import Path

import live
import stint
from stint import vendor

KIT = {"python": "3.15.0", "numpy": "2.5.2", "typing-extensions": "4.16.0"}


class Vendor(unittest.TestCase):
    def setUp(self) -> None:
        place = live.temporary()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        offline = live.offline(self.place)
        offline.__enter__()
        self.addCleanup(offline.__exit__, None, None, None)

    def refused(self, *wanted: str) -> stint.InputError:
        with self.assertRaises(stint.InputError) as caught:
            vendor.collect(wanted, KIT)
        return caught.exception

    def wheel(self, name: str, version: str = "1.0", **more: object) -> str:
        return str(live.wheel(self.place, name, version, {f"{name}.py": ""}, **more))  # type: ignore[arg-type]

    def test_what_a_package_needs_comes_along_unless_the_kit_has_it(self) -> None:
        self.wheel("leaf", needs=("branch>=1", "numpy>=2", "win; sys_platform == 'win32'"))
        self.wheel("branch", "1.5", needs=("extra-thing; extra == 'more'",))
        files = vendor.collect(["leaf"], KIT)
        self.assertEqual([file.name for file in files], ["leaf-1.0.whl", "branch-1.5.whl"])

    def test_an_extra_brings_what_it_needs(self) -> None:
        self.wheel("leaf", needs=("twig; extra == 'more'",))
        self.wheel("twig")
        names = [file.name for file in vendor.collect(["leaf[more]==1.0"], KIT)]
        self.assertEqual(names, ["leaf-1.0.whl", "twig-1.0.whl"])

    def test_native_code_is_refused_with_the_reason(self) -> None:
        built = self.wheel("fast", tags="cp311-cp311-manylinux_2_17_x86_64")
        self.assertIn("manylinux_2_17_x86_64", str(self.refused(built)))
        hidden = live.wheel(self.place, "sly", "1.0", {"sly/core.so": ""})
        self.assertIn("sly/core.so", str(self.refused(str(hidden))))
        # A registry has wheels for other machines alone.
        self.assertIn("cannot come along", str(self.refused("fast==1.0")))

    def test_a_package_that_is_not_there_or_in_the_kit_is_named(self) -> None:
        self.assertIn("nowhere", str(self.refused("nowhere")))
        refused = self.refused("numpy==1.26")
        self.assertIn("the kit has numpy 2.5.2 already", refused.hint or "")
        self.wheel("leaf", needs=("branch",))
        self.assertIn("which leaf needs", str(self.refused("leaf")))

    def test_what_would_be_built_here_is_not_fetched(self) -> None:
        ran = self.place / "ran"
        source = self.place / "evil"
        source.mkdir()
        (source / "setup.py").write_text(f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='evil')\n")
        url = source.as_uri()
        self.assertIn("names a URL", str(self.refused(f"evil @ {url}")))
        self.wheel("leaf", needs=(f"evil @ {url}",))
        self.assertIn("which leaf needs", str(self.refused("leaf")))
        self.assertFalse(ran.exists())

    def test_two_wishes_that_exclude_each_other_are_named(self) -> None:
        self.wheel("leaf", needs=("branch<2", "numpy<2"))
        self.wheel("branch", "2.0")
        self.assertIn("branch 2.0 comes along", str(self.refused("branch==2.0", "leaf")))
        self.wheel("twig", needs=("numpy<2",))
        self.assertIn("numpy 2.5.2 is in the kit", str(self.refused("twig")))

    def test_what_is_no_wheel_or_no_name_is_refused(self) -> None:
        cut = self.place / "cut-1.0-py3-none-any.whl"
        cut.write_bytes(b"PK")
        self.assertIn("cut off", str(self.refused(str(cut))))
        self.assertIn("not named as a wheel", str(self.refused("leaf.whl")))
        self.assertIn("cannot read", str(self.refused("/nowhere/leaf-1.0-py3-none-any.whl")))
        self.assertIn("names no package", str(self.refused("leaf =!= 3")))


if __name__ == "__main__":
    unittest.main()
