// The look: a printed opinion. Black on white, a serif face, rules instead of boxes; nothing is said by colour alone.
#include "report/sections.hpp"

namespace heirmark::report {

Css style_sheet(const Case& from) {
  Css css;
  css.add(R"css(
:root { color-scheme: light; }
html { background: #ececea; }
body { font-family: Charter, "Bitstream Charter", "Sitka Text", Cambria, "Times New Roman", "Liberation Serif", Times, serif;
  font-size: 16px; line-height: 1.45; color: #141414; background: #fff; max-width: 44rem; margin: 2rem auto; padding: 3.2rem 4rem 4rem;
  text-rendering: optimizeLegibility; font-variant-numeric: lining-nums; overflow-wrap: break-word; }
header.title { border-bottom: 2px solid #141414; padding-bottom: .6rem; margin-bottom: .9rem; }
header.title .kind { font-variant: small-caps; letter-spacing: .08em; font-size: 1rem; margin: 0; }
h1 { font-size: 1.62rem; line-height: 1.2; font-weight: 600; margin: .1rem 0 .35rem; }
header.title .meta { margin: 0; font-size: .88rem; color: #333; }
h2 { font-size: 1.28rem; font-weight: 600; margin: 2.6rem 0 .7rem; padding-top: .5rem; border-top: 1px solid #141414; break-after: avoid; }
h3 { font-size: 1.04rem; font-weight: 600; margin: 1.5rem 0 .4rem; break-after: avoid; }
p { margin: .5rem 0; orphans: 3; widows: 3; }
ol, ul { margin: .4rem 0 .6rem; padding-left: 1.5rem; }
li { margin: .18rem 0; }
a { color: inherit; text-decoration-color: #888; }
code, pre { font-family: "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace; font-size: .78em; }
code { overflow-wrap: anywhere; }
code.digest { font-size: .72em; letter-spacing: -.01em; overflow-wrap: normal; }
pre { border-left: 3px solid #141414; background: #f6f6f4; padding: .5rem .8rem; margin: .6rem 0; white-space: pre-wrap; break-inside: avoid; }
pre .line { display: block; overflow-wrap: anywhere; padding-left: 1.6em; text-indent: -1.6em; }
table { border-collapse: collapse; width: 100%; font-size: .86rem; line-height: 1.35; margin: .8rem 0 1.1rem; border-top: 1.5px solid #141414; border-bottom: 1.5px solid #141414; }
caption { text-align: left; font-size: .9rem; font-style: italic; padding-bottom: .3rem; break-after: avoid; break-inside: avoid; }
th, td { overflow-wrap: anywhere; text-align: left; vertical-align: top; padding: .26rem .9rem .26rem 0; font-weight: normal; }
th:last-child, td:last-child { padding-right: 0; }
thead { display: table-header-group; }
thead th { font-weight: 600; overflow-wrap: normal; border-bottom: 1px solid #141414; vertical-align: bottom; }
tbody tr + tr > * { border-top: 1px solid #d4d4d0; }
tr { break-inside: avoid; }
thead { break-after: avoid; }
tbody tr:first-child { break-before: avoid; }
td.txt, th.txt { min-width: 4.6em; }
tbody .txt:first-child { min-width: 7.5em; }
.key { white-space: nowrap; overflow-wrap: normal; }
.num { text-align: right; font-variant-numeric: lining-nums tabular-nums; white-space: nowrap; }
table.keep { break-inside: avoid; }
tr.total > * { border-top: 1px solid #141414 !important; font-weight: 600; }
tr.flag > * { font-weight: 600; }
table.compact { font-size: .76rem; line-height: 1.25; }
table.compact th, table.compact td { padding-top: .12rem; padding-bottom: .12rem; }
table.facts { border: 0; margin: .2rem 0 .3rem; font-size: .88rem; }
table.facts th { width: 9.2rem; color: #333; padding-top: .1rem; padding-bottom: .1rem; }
table.facts td { padding-top: .1rem; padding-bottom: .1rem; }
table.facts tr + tr > * { border-top: 0; }
figure { margin: 1.1rem 0 1.3rem; break-inside: avoid; }
figcaption { font-size: .86rem; margin-top: .25rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.note { font-size: .86rem; color: #333; }
.summary h2 { margin: 0 0 .3rem; padding: 0; border: 0; }
.summary h3 { font-size: .95rem; margin: .7rem 0 .1rem; }
.summary p, .summary li { font-size: .9rem; margin: .1rem 0; line-height: 1.34; }
.summary table.facts { font-size: .86rem; line-height: 1.32; }
.summary table.facts th { width: 5.6rem; font-weight: 600; }
.summary dl { margin: .1rem 0; }
.summary .answer { border-top: 1.5px solid #141414; border-bottom: 1.5px solid #141414; padding: .55rem 0 .6rem; margin: .8rem 0 .7rem; }
.summary .answer .finding { font-size: 1.14rem; font-weight: 600; margin: 0 0 .15rem; }
.summary .answer .sentence { font-size: 1.06rem; line-height: 1.36; }
.summary .answer .note { font-size: .84rem; }
.columns { display: grid; grid-template-columns: max-content 1fr; column-gap: 1.4rem; }
.columns .dates th, .columns .dates td { white-space: nowrap; }
.columns table.facts th { width: 6.6rem; }
.columns .who table.facts th { width: 4.3rem; }
nav ol { columns: 2; font-size: .9rem; padding-left: 1.4rem; }
.template { border: 1.5px dashed #141414; padding: .4rem 1.1rem .9rem; margin: 1rem 0; break-inside: avoid; }
.template .banner { font-weight: 600; letter-spacing: .04em; }
.blank { display: inline-block; border-bottom: 1px solid #141414; min-width: 13rem; height: 1.1em; }
.terms dt { font-weight: 600; break-after: avoid; }
.terms dd { margin: 0 0 .4rem 1.4rem; }
.end { margin-top: 2rem; border-top: 1px solid #141414; padding-top: .5rem; font-size: .84rem; }
/* figures */
svg text { font-size: 12.5px; fill: #141414; }
svg .tick { font-size: 11.5px; fill: #333; }
svg .axis-name { font-size: 12.5px; font-style: italic; }
svg .strong { font-weight: 600; fill: #000; }
svg .faint { font-style: italic; fill: #555; }
svg .lifted { paint-order: stroke; stroke: #fff; stroke-width: 3px; }
svg .axis { stroke: #141414; stroke-width: 1; }
svg .grid { stroke: #dededa; stroke-width: 1; }
svg .leader { stroke: #777; stroke-width: .8; }
svg .line-p { fill: none; stroke: #141414; stroke-width: 1.9; }
svg .line-e { fill: none; stroke: #141414; stroke-width: 1.5; stroke-dasharray: 7 4; }
svg .threshold { stroke: #141414; stroke-width: 1.6; stroke-dasharray: 1.5 4; }
svg .dot-p { fill: #141414; }
svg .dot-e { fill: #fff; stroke: #141414; stroke-width: 1.3; }
svg .hatch { stroke: #777; stroke-width: 1.6; }
svg .hatch-ground { fill: #fff; }
svg .bar { stroke: #333; stroke-width: .7; }
svg .paper { fill: #fff; }
svg .halo { stroke: #fff; stroke-width: 7; }
svg .live { stroke: #000; stroke-width: 2.4; }
svg .live-tip { fill: #000; }
@media (max-width: 40rem) { body { padding: 1.2rem; margin: 0; } .columns { grid-template-columns: 1fr; } nav ol { columns: 1; } table { display: block; overflow-x: auto; } }
@page { margin: 16mm 20mm 17mm 23mm;
  @top-left { content: "Audit report"; font: 8.5pt Charter, "Times New Roman", "Liberation Serif", serif; color: #333; }
  @bottom-right { content: "Page " counter(page) " of " counter(pages); font: 8.5pt Charter, "Times New Roman", "Liberation Serif", serif; color: #333; }
  @bottom-left { content: )css")
      .add_quoted("Verdict of " + from.verdict.date)
      .add(R"css(; font: 8.5pt Charter, "Times New Roman", "Liberation Serif", serif; color: #333; }
  @top-right { content: )css")
      .add_quoted("Case " + from.plan.plan_id)
      .add(R"css(; font: 8.5pt Charter, "Times New Roman", "Liberation Serif", serif; color: #333; }
}
@media print {
  html { background: #fff; font-size: 11.2pt; }
  body { margin: 0; padding: 0; max-width: none; font-size: 1rem; line-height: 1.38; }
  h2.break { break-before: page; border-top: 0; padding-top: 0; margin-top: 0; }
  nav { break-inside: avoid; }
  a { text-decoration: none; }
  pre { background: none; }
}
)css");
  return css;
}

}  // namespace heirmark::report
