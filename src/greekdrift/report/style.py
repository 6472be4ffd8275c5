"""How the report looks: light, quiet, legible; system fonts, no request for any."""

CSS = """
:root{--ink:#1c2733;--quiet:#66727f;--line:#e3e8ed;--paper:#fff;--ground:#f5f7f9;--blue:#2f6db5;--red:#c2452d;--green:#2b8a5b}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,"DejaVu Sans",sans-serif}
header,main,footer{max-width:1120px;margin:0 auto;padding:0 28px}
header{padding-top:40px}
.brand{margin:0;color:var(--blue);font-weight:700;letter-spacing:.04em}
h1{margin:2px 0 4px;font-size:30px;line-height:1.2;letter-spacing:-.01em}
.lead{margin:0 0 22px;color:var(--quiet);max-width:80ch}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:14px;margin-bottom:20px}
.tile{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:26px;line-height:1.2}
.tile span{display:block}
.tile small{color:var(--quiet)}
nav{display:flex;flex-wrap:wrap;gap:6px 20px;padding-bottom:6px}
nav a{color:var(--blue);text-decoration:none}
nav a:hover{text-decoration:underline}
section{background:var(--paper);border:1px solid var(--line);border-radius:12px;padding:8px 26px 22px;margin:22px 0}
h2{font-size:20px;margin:14px 0 8px}
h3{font-size:16px;margin:22px 0 8px}
p{margin:8px 0 12px;max-width:95ch}
small,figcaption{color:var(--quiet);font-size:13px}
figure{margin:0}
img{width:100%;height:auto;display:block}
.fans{display:grid;grid-template-columns:repeat(auto-fill,minmax(310px,1fr));gap:18px}
figcaption{padding-left:6px}
.wide{overflow-x:auto;margin:10px 0 14px}
table{border-collapse:collapse;min-width:55%;font-size:13.5px}
th{text-align:left;color:var(--quiet);font-weight:600;border-bottom:1px solid #cfd6dd;padding:6px 10px;
white-space:nowrap}
td{border-bottom:1px solid var(--line);padding:6px 10px;vertical-align:top}
th.n{text-align:right}
td.t{white-space:nowrap}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.heat{font-style:normal;display:inline-block;min-width:52px;padding:1px 8px;border-radius:5px;
background:color-mix(in srgb,var(--red) calc(var(--p)*62%),transparent)}
.decision{border-top:1px solid var(--line);padding-top:2px}
.decision:first-of-type{border-top:0}
.chip{margin-left:12px;padding:2px 10px;border-radius:999px;font-size:12px;font-weight:700;
vertical-align:2px;color:#fff}
.chip.verified_ml{background:var(--green)}
.chip.baseline{background:var(--blue)}
.chip.hold{background:#8592a0}
h3 em{font-style:normal;font-weight:400;color:var(--quiet);font-size:13.5px;margin-left:10px}
.reasons{margin:6px 0 10px;padding-left:20px}
details{margin:8px 0 14px}
summary{cursor:pointer;color:var(--blue);font-size:13.5px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 22px;font-size:14px}
dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
footer{color:var(--quiet);font-size:13px;padding-bottom:40px}
@media print{body{background:#fff}section{break-inside:avoid;border:0}}
"""
