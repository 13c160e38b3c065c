# SPDX-License-Identifier: GPL-2.0
"""The chart that `make demo` draws."""

import unittest
from xml.etree import ElementTree as Xml

from chart import Row, Section, draw

SVG = "{http://www.w3.org/2000/svg}"


class Chart(unittest.TestCase):
    def setUp(self):
        rows = [Row("a & b", 4, 400), Row("c", 0, None)]
        self.svg = Xml.fromstring(draw("<title>", [Section("heading", rows)]))
        self.texts = [element.text for element in self.svg.iter(f"{SVG}text")]
        self.bars = [float(e.get("width")) for e in self.svg.iter(f"{SVG}rect") if e.get("x")][2:]

    def test_every_name_and_number_is_in_it(self):
        for text in ("<title>", "heading", "a & b", "c", "4", "400", "0", "not counted"):
            self.assertIn(text, self.texts)

    def test_a_bar_is_as_long_as_the_root_of_its_number(self):
        self.assertAlmostEqual(self.bars[1] / self.bars[0], 10, places=1)
        self.assertEqual(self.bars[2:], [0, 0])

    def test_nothing_is_outside_of_the_picture(self):
        width, height = (float(self.svg.get(name)) for name in ("width", "height"))
        for element in self.svg.iter(f"{SVG}rect"):
            if element.get("x"):
                self.assertLess(float(element.get("x")) + float(element.get("width")), width)
                self.assertLess(float(element.get("y")), height)

    def test_a_chart_of_nothing_is_one(self):
        Xml.fromstring(draw("empty", []))


if __name__ == "__main__":
    unittest.main()
