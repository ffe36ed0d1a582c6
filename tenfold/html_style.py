"""How the report looks: dark text on light, one column, wide tables scroll inside themselves."""

STYLE = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:#f5f6f8;color:#1b2430;font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main,footer{max-width:64rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem;padding-bottom:.5rem}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem}
h2{font-size:1.3rem;line-height:1.3;margin:0 0 .75rem}
h3{font-size:1rem;margin:0 0 .6rem}
h4{font-size:.8rem;font-weight:600;margin:.2rem 0 .3rem;color:#55606e}
p{margin:0 0 .9rem;max-width:46rem}
.lead{font-size:1.08rem;color:#3c4754}
.small,details p{font-size:.86rem;color:#55606e;margin-bottom:.4rem}
nav{display:flex;flex-wrap:wrap;gap:.4rem 1.1rem;font-size:.92rem}
a{color:#1f5fa8}
section{background:#fff;border:1px solid #e2e6eb;border-radius:10px;padding:1.4rem 1.5rem;margin:1.25rem 0}
footer{padding-top:.5rem;padding-bottom:3rem;font-size:.84rem;color:#55606e}
footer p{margin:0 0 .25rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:0 0 1rem}
figure img{display:block;width:100%;min-width:34rem;height:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.4rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #e9ecf0}
th{font-weight:600;color:#55606e;font-size:.82rem}
.number{text-align:right;white-space:nowrap}
th:first-child,td:first-child{padding-left:0;min-width:7rem;max-width:18rem;overflow-wrap:anywhere}
td small{display:block;color:#6a7480;font-size:.78rem;font-weight:400}
tr:last-child td{border-bottom:0}
.strong td,.strong .name,.strong .value{font-weight:650}
details{margin-top:.4rem}
summary{cursor:pointer;color:#1f5fa8;font-size:.92rem;margin-bottom:.5rem}
.whiskers{margin:.4rem 0 1.6rem}
.whisker{display:grid;grid-template-columns:minmax(7rem,13rem) 1fr 9.5rem;gap:.2rem 1rem;align-items:center;
padding:.35rem 0;border-bottom:1px solid #f0f2f5}
.whisker:last-child{border-bottom:0}
.name{overflow-wrap:anywhere;line-height:1.3}
.track{position:relative;height:1.1rem;border-left:1px solid #c7ced6}
.bar,.dot{position:absolute;top:50%;background:#5b6470}
.bar{height:4px;margin-top:-2px;border-radius:2px;opacity:.45}
.dot{width:11px;height:11px;margin:-5.5px 0 0 -5.5px;border-radius:50%}
.strong .bar,.strong .dot{background:#1f5fa8}
.value{font-variant-numeric:tabular-nums;line-height:1.25}
.value small{display:block;color:#55606e;font-size:.76rem;font-weight:400;overflow-wrap:anywhere}
.cards{display:grid;gap:1rem}
article{border:1px solid #e2e6eb;border-radius:8px;padding:1rem 1.1rem}
.gallery{display:grid;gap:.9rem;grid-template-columns:repeat(auto-fill,minmax(var(--tile,7rem),1fr));margin:0 0 1.2rem}
.tile{margin:0}
.tile img{min-width:0;width:100%;image-rendering:pixelated;border-radius:6px}
.tile figcaption{font-size:.8rem;line-height:1.35;margin-top:.3rem;color:#3b4552;overflow-wrap:anywhere}
.tile figcaption small{display:block;color:#6a7480}
.columns{display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.8rem 1.8rem}
ul,ol{margin:0 0 .7rem;padding-left:1.25rem;font-size:.92rem}
ul{list-style:none;padding-left:0}
li{margin:.1rem 0;padding:.15rem .4rem;line-height:1.35;overflow-wrap:anywhere}
li small{color:#6a7480;font-size:.78rem;margin-left:.5rem}
.hit,.next{background:#e4f3e7;border-radius:4px}
.hit::after{content:" came next";color:#1d6b34;font-size:.78rem;font-weight:600;margin-left:.5rem}
@media (max-width:38rem){
header,main,footer{padding-left:.9rem;padding-right:.9rem}
header{padding-top:1.5rem}
h1{font-size:1.55rem}
section{padding:1.1rem 1rem}
.whisker{grid-template-columns:1fr auto}
.track{grid-column:1/-1;grid-row:2}
.value{text-align:right}
}
@media print{body{background:#fff}section,article{break-inside:avoid}nav{display:none}}
"""
