"""How a report looks: one style sheet, light and dark, from 360 pixels up.

Colours are variables with one palette for each scheme; text has a contrast of at least 4.5 on its
ground and marks of at least 3 (a test computes them). Nothing carries meaning by colour alone:
lines differ in their dashes, bars have their numbers beside them. Limits: no web fonts, no images.
"""

from __future__ import annotations

from typing import Final

LIGHT: Final = {
    "ground": "#ffffff", "raised": "#f3f5f8", "ink": "#17202b", "quiet": "#4a5666",
    "line": "#cdd5de", "edge": "#77859a", "link": "#17508f", "focus": "#a33c00",
    "s0": "#1f5fa8", "s1": "#b3470f", "s2": "#1b7545", "s3": "#8a3ba8", "s4": "#a3234f",
    "s5": "#55606e", "kept": "#1f5fa8", "dropped": "#7f8c9c",
    "keyword": "#8a2a7d", "string": "#1b6a3c", "comment": "#5b6675", "number": "#9c4100",
    "function": "#1c549c", "type": "#7a4f00", "added": "#dff3e4", "removed": "#fbe3e4",
    "mark": "#8c1d18",
}  # fmt: skip
DARK: Final = {
    "ground": "#10151c", "raised": "#1a212b", "ink": "#e6ebf2", "quiet": "#aeb9c7",
    "line": "#364152", "edge": "#7e8da1", "link": "#8fbcf7", "focus": "#ffb070",
    "s0": "#6ea8f0", "s1": "#f0955a", "s2": "#62c48c", "s3": "#cf94ea", "s4": "#f283a1",
    "s5": "#a9b4c2", "kept": "#6ea8f0", "dropped": "#74839a",
    "keyword": "#e29bd8", "string": "#86d3a3", "comment": "#9aa7b6", "number": "#f3a873",
    "function": "#8fbcf7", "type": "#e0c070", "added": "#143322", "removed": "#43191c",
    "mark": "#ff9a94",
}  # fmt: skip
SERIES: Final = 6
"""Lines that can be told apart in one chart."""


def _variables(palette: dict[str, str]) -> str:
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())


_DASHES: Final = ("none", "7 4", "2 3", "11 4 2 4", "4 2", "1 5")
_LINES: Final = "".join(
    f".l{n}{{stroke:var(--s{n});stroke-dasharray:{dash}}}.a{n}{{fill:var(--s{n})}}"
    f".d{n}{{stroke:var(--s{n})}}"
    for n, dash in enumerate(_DASHES)
)

_BODY: Final = """
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0;background:var(--ground);color:var(--ink);
 font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;
 overflow-wrap:anywhere}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
h1{font-size:1.75rem;line-height:1.2;margin:.1rem 0 .4rem}
h2{font-size:1.3rem;line-height:1.25;margin:2.5rem 0 .6rem;padding-top:.9rem;
 border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.6rem 0 .4rem}
p{margin:.4rem 0 .8rem;max-width:46rem}
.kind{margin:0;color:var(--quiet);font-size:.9rem}
.quiet,figcaption small{color:var(--quiet)}
a{color:var(--link)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:2px}
.skip{position:absolute;left:1rem;top:-4rem;background:var(--ground);padding:.5rem .8rem;z-index:2}
.skip:focus{top:.5rem}
nav ul{list-style:none;margin:.8rem 0 0;padding:0;display:flex;flex-wrap:wrap;gap:.3rem .4rem}
nav a{display:block;padding:.25rem .6rem;border:1px solid var(--line);border-radius:1rem;
 text-decoration:none;font-size:.9rem}
nav a:hover{border-color:var(--edge);text-decoration:underline}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.6rem;
 margin:1rem 0;padding:0}
.cards div{background:var(--raised);border-radius:.5rem;padding:.6rem .8rem}
.cards dt{color:var(--quiet);font-size:.85rem}
.cards dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto;margin:.6rem 0 1.2rem;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
caption{text-align:left;font-weight:600;padding:.2rem 0 .4rem}
th,td{text-align:left;vertical-align:top;padding:.28rem .9rem .28rem 0;
 border-bottom:1px solid var(--line)}
th{font-weight:500;overflow-wrap:break-word}
tbody td:not(.n):not(.bar){min-width:8rem}
thead th{color:var(--quiet);font-size:.85rem;vertical-align:bottom}
.n{text-align:right;white-space:nowrap}
.worst{padding-left:2rem}
.worst li{border-bottom:1px solid var(--line);padding:.5rem 0}
.worst p{margin:0 0 .2rem}
.worst dl{margin:0;font-size:.9rem}
.worst dl div{display:flex;gap:.6rem}
.worst dt{color:var(--quiet);flex:0 0 5.5rem}
.worst dd{margin:0;min-width:0}
table.bars{width:100%}
table.bars tbody th{width:32%;min-width:7rem}
table.bars td.bar{width:48%;min-width:5rem;padding-right:0;vertical-align:middle}
table.bars small{display:block;color:var(--quiet);font-weight:400}
.bar svg{display:block;width:100%;height:.95rem}
.kept{fill:var(--kept)}.dropped{fill:var(--dropped)}
.halo{stroke:var(--ground);stroke-width:4;vector-effect:non-scaling-stroke;fill:none}
.whisker{stroke:var(--ink);stroke-width:2;vector-effect:non-scaling-stroke;fill:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding:0;margin:.3rem 0;
 font-size:.9rem}
.legend svg{width:1.9rem;height:.8rem;margin-right:.4rem;vertical-align:middle}
figure{margin:1rem 0 1.4rem}
figcaption{font-weight:600}
figcaption small{font-weight:400;display:block}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));
 gap:0 2rem}
.plot{display:grid;grid-template-columns:auto minmax(0,1fr);margin:.9rem 1.4rem 0 0}
.ys{display:flex;flex-direction:column;justify-content:space-between;text-align:right;
 padding-right:.5rem;font-size:.8rem;color:var(--quiet)}
.ys span{line-height:0;white-space:nowrap}
.xs{grid-column:2;display:flex;justify-content:space-between;font-size:.8rem;
 color:var(--quiet);padding-top:.25rem}
.xs span{width:0;display:flex;justify-content:center;white-space:nowrap}
.plot>svg{display:block;width:100%;height:15rem;border-left:1px solid var(--edge);
 border-bottom:1px solid var(--edge);overflow:visible}
.plot>.what{grid-column:2;text-align:center;font-size:.8rem;color:var(--quiet)}
.grid{stroke:var(--line);stroke-width:1;vector-effect:non-scaling-stroke;fill:none}
.line{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round}
.dots{fill:none;stroke-width:7;stroke-linecap:round;vector-effect:non-scaling-stroke}
.area{opacity:.2;stroke:none}
.column{stroke:var(--ground);stroke-width:1;vector-effect:non-scaling-stroke}
details{margin:.5rem 0}
summary{cursor:pointer;padding:.2rem 0}
summary:hover{text-decoration:underline}
article,details.box{border:1px solid var(--line);border-radius:.5rem;padding:.2rem .9rem .6rem;
 margin:.8rem 0}
article p{max-width:none}
article h3{margin:.6rem 0 .2rem}
blockquote{margin:.3rem 0 .6rem;padding:.1rem .8rem;border-left:3px solid var(--edge);
 white-space:pre-wrap}
pre{margin:.4rem 0;padding:.7rem .8rem;background:var(--raised);border-radius:.4rem;
 overflow:auto;max-height:28rem;tab-size:4;overflow-wrap:normal}
pre,code{font:.83rem/1.45 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;
 unicode-bidi:isolate;direction:ltr;text-align:left}
code{overflow-wrap:anywhere}
.ctl{border:1px solid var(--mark);color:var(--mark);border-radius:.2rem;font-size:.8em;
 padding:0 .15em;white-space:nowrap}
.k{color:var(--keyword)}.s{color:var(--string)}.c{color:var(--comment);font-style:italic}
.m{color:var(--number)}.f{color:var(--function)}.t{color:var(--type)}
.diff span{display:block;min-width:max-content}
.plus{background:var(--added)}.minus{background:var(--removed)}.at{color:var(--quiet)}
footer{padding:2rem 1rem;color:var(--quiet);font-size:.9rem}
@media (max-width:36rem){h1{font-size:1.4rem}th,td{padding-right:.6rem}
 table.bars tbody th{width:46%}table.bars td.bar{width:30%;min-width:4rem}
 table.bars th{overflow-wrap:anywhere}.plot>svg{height:12rem}
 article,details.box{padding:.2rem .6rem .5rem}}
@media print{pre{max-height:none}nav,.skip{display:none}}
"""

SHEET: Final = (
    f":root{{{_variables(LIGHT)}}}"
    f"@media (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}{_BODY}{_LINES}"
)
