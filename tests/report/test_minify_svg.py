"""A drawing in fewer bytes: what may go and what must stay."""

from __future__ import annotations

from xml.etree import ElementTree

from pubsub_sim.report.minify_svg import minify_svg

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">\n'
SHORT_HEAD = '<svg xmlns="http://www.w3.org/2000/svg">\n'


def short(body: str) -> str:
    """Shorten a body, and see that a document is still one."""
    found = minify_svg(f"{HEAD}{body}\n</svg>\n")
    ElementTree.fromstring(found)
    return found.removeprefix(SHORT_HEAD).removesuffix("\n</svg>\n")


def test_coordinates_are_cut_to_hundredths() -> None:
    """A hundredth of a point is far less than a pixel."""
    assert short('<path d="M 1.23456 -0.001 \nL 10.500000 20 \nz\n"/>') == '<path d="M1.23 -0L10.5 20z"/>'


def test_numbers_that_are_no_coordinates_stay_whole() -> None:
    """A width or a scale is not a place."""
    assert short('<g transform="scale(0.001953125)"/>\n<path d="M 0 0" style="stroke-width: 0.12345"/>') == (
        '<path d="M0 0" style="stroke-width:0.12345"/>'
    )


def test_ids_that_something_refers_to_are_numbered() -> None:
    """Marks and clips are still found by their new names; the ids of other things are gone."""
    body = (
        '<g id="axes_1">\n<path id="m0123" d="M 0 0"/>\n<use xlink:href="#m0123"/>\n'
        '<path id="x" d="M 0 0" clip-path="url(#pabc)"/>\n<clipPath id="pabc"/>\n</g>'
    )
    assert short(body) == (
        '<path id="i0" d="M0 0"/>\n<use href="#i0"/>\n<path d="M0 0" clip-path="url(#i1)"/>\n<clipPath id="i1"/>'
    )


def test_groups_that_place_or_clip_stay() -> None:
    """Only a group without attributes draws nothing of its own."""
    body = '<g id="a">\n<g transform="translate(1.5 2)">\n<g>\n<path d="M 0 0"/>\n</g>\n</g>\n</g>'
    assert short(body) == '<g transform="translate(1.5 2)">\n<path d="M0 0"/>\n</g>'


def test_style_of_a_mark_goes_only_where_its_definition_has_it() -> None:
    """A marker of another colour keeps its own."""
    body = (
        '<path id="m" d="M 0 0" style="stroke: #000000"/>\n'
        '<use xlink:href="#m" x="1" y="2" style="stroke: #000000"/>\n<use xlink:href="#m" x="1" y="2" style="fill: #ff0000"/>'
    )
    assert short(body).splitlines()[1:] == [
        '<use href="#i0" x="1" y="2"/>',
        '<use href="#i0" x="1" y="2" style="fill:#ff0000"/>',
    ]


def test_pictures_inside_stay_as_they_are() -> None:
    """Pixels are not text."""
    picture = 'href="data:image/png;base64,AAAA0.12345" x="1" y="2"/>'
    assert short(f"<image xlink:{picture}") == f"<image {picture}"


def test_letters_are_placed_by_a_coordinate() -> None:
    """The same place in fewer letters; a shift that is not along the line stays as it is."""
    assert short('<use xlink:href="#a" transform="translate(63.623047 0)"/>') == '<use href="#i0" x="63.62"/>'
    assert short('<use xlink:href="#a" transform="translate(1 2)"/>') == '<use href="#i0" transform="translate(1 2)"/>'


def test_styles_that_many_share_stand_once() -> None:
    """In the style sheet; a style of one element stays with it."""
    mark = '<path d="M 0 0" style="fill: none; stroke: #dddddd"/>\n'
    body = (
        f'<style type="text/css">*{{stroke-linecap: butt}}</style>\n{mark * 3}<path d="M 0 0" style="fill: #ff0000"/>'
    )
    assert short(body) == (
        '<style type="text/css">*{stroke-linecap: butt}.s0{fill:none;stroke:#dddddd}</style>\n'
        + '<path d="M0 0" class="s0"/>\n' * 3
        + '<path d="M0 0" style="fill:#ff0000"/>'
    )
