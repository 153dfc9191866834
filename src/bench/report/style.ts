/** The page's style: light and dark as the reader's system has it. */
const LIGHT = ['#d9480f', '#7c3aed', '#0e7490', '#15803d', '#a16207', '#1d4ed8', '#64748b', '#be185d'];
const DARK = ['#fb923c', '#c4b5fd', '#67e8f9', '#86efac', '#fde047', '#93c5fd', '#94a3b8', '#f9a8d4'];

/** Parts of a bar: early to late in a request, what is outside last. */
const PARTS_LIGHT = ['#f2c14e', '#f78154', '#b4436c', '#5fad56', '#4d9078', '#8d99ae', '#cbd2dc'];
const PARTS_DARK = ['#f2c14e', '#f78154', '#d76a94', '#7ac770', '#4d9078', '#8d99ae', '#59636f'];

const colours = (list: readonly string[], parts: readonly string[]): string =>
  [...list.map((colour, i) => `--r${i}:${colour}`), ...parts.map((colour, i) => `--p${i}:${colour}`)].join(
    ';',
  );
const classes = [...LIGHT.map((_, i) => `r${i}`), ...PARTS_LIGHT.map((_, i) => `p${i}`)]
  .map((name) => `.${name}{--c:var(--${name})}`)
  .join('');

export const STYLE = `
:root{color-scheme:light dark;--bg:#fff;--fg:#1a1a1a;--soft:#5b6470;--line:#dfe3e8;--card:#f6f7f9;--warn:#fff1c9;--warnfg:#6b4500;--better:#166534;--worse:#b91c1c;${colours(LIGHT, PARTS_LIGHT)}}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e8eb;--soft:#9aa4b0;--line:#2c333b;--card:#1b2026;--warn:#3d2f0a;--warnfg:#ffdf8a;--better:#86efac;--worse:#fca5a5;${colours(DARK, PARTS_DARK)}}}
${classes}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:32px 20px 80px}h1{font-size:30px;margin:0 0 8px}h2{font-size:22px;margin:48px 0 8px}h3{font-size:16px;margin:20px 0 4px}
p{margin:8px 0}.lead{font-size:18px}.facts,.small,small{color:var(--soft);font-size:13px}.warning{background:var(--warn);color:var(--warnfg);padding:10px 14px;border-radius:6px;font-weight:600}
.note{background:var(--card);padding:8px 14px;border-radius:6px}.notes{margin:6px 0;padding-left:20px;font-size:14px}.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:14px;width:100%}th,td{text-align:left;vertical-align:top;padding:6px 10px;border-bottom:1px solid var(--line)}thead th{font-weight:600;color:var(--soft);font-size:13px}tbody th{font-weight:500}
td.none{color:var(--soft)}.better{color:var(--better);font-weight:600}.worse{color:var(--worse);font-weight:600}.even{color:var(--soft)}abbr{cursor:help;font-weight:700;text-decoration:none;color:var(--worse)}
.ratios{font-size:13px}.ratios td{white-space:nowrap}.ratios th,.ratios td{padding:5px 8px}.ratios tbody th{min-width:11em;position:sticky;left:0;background:var(--bg)}.swatch{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--c);margin-right:7px}
figure{margin:16px 0;padding:16px;background:var(--card);border-radius:8px}figure h3{margin:0 0 10px}figure .scroll svg{min-width:760px}figcaption{color:var(--soft);font-size:14px;margin-top:6px}svg{display:block;width:100%;height:auto;font:13px system-ui,sans-serif}
svg text{fill:var(--fg)}svg .tick,svg .label{fill:var(--soft);font-size:12px}svg .group{font-weight:600}svg .value{font-size:12px;font-weight:600}svg .grid{stroke:var(--line)}svg .row{stroke:var(--line);stroke-dasharray:2 4}
svg .part{fill:var(--c)}svg .dot{fill:var(--c);fill-opacity:.55}svg .hollow{fill:var(--card);stroke:var(--c);stroke-width:1.5}svg .median{stroke:var(--c);stroke-width:3}svg .line{fill:none;stroke:var(--c);stroke-width:2}svg .range{stroke:var(--c);stroke-width:1.5;opacity:.6}svg text.name{paint-order:stroke;stroke:var(--card);stroke-width:3px;fill:var(--c);font-size:12px;font-weight:600}
@media(max-width:820px){figcaption::before{content:'The chart is wider than the window: move it sideways. '}}
details{margin:10px 0}summary{cursor:pointer;font-weight:600}
`;
