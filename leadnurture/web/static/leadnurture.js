// Everything here is an extra: without it the pages still say and do all they should.

// Handoffs: J and K walk, A accepts, R returns. They act only while the list has the focus (WCAG 2.1.4).
document.addEventListener("keydown", (event) => {
  const row = event.target.closest?.(".handoff");
  if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
  const acts = {
    j: () => row.nextElementSibling?.querySelector(".lead a").focus(),
    k: () => row.previousElementSibling?.querySelector(".lead a").focus(),
    a: () => row.querySelector(".accept")?.click(),
    r: () => row.querySelector("[popovertarget]")?.click(),
  };
  acts[event.key]?.();
});
document.querySelector('.skip[data-to="handoff"]')?.addEventListener("click", (event) => {
  const first = document.querySelector(".handoff .lead a");
  if (!first) return;
  event.preventDefault();
  first.focus();
});

// The program's chart. Its colours are the page's own custom properties, so light and dark need no second drawing.
if (window.mermaid) {
  const box = (what, fill, edge, text) =>
    `.${what} :is(rect,polygon,path,circle){fill:var(--${fill})!important;stroke:var(--${edge})!important}` +
    `.${what} .nodeLabel{color:var(--${text})!important}`;
  mermaid.initialize({
    startOnLoad: false, securityLevel: "strict", theme: "base", fontFamily: "inherit",
    flowchart: { curve: "basis", nodeSpacing: 40, rankSpacing: 48, padding: 10, useMaxWidth: false },
    themeVariables: { fontSize: "13px" },
    themeCSS: box("node", "paper", "edge", "ink") + box("outer", "sunken", "line", "ink-2") + box("trouble", "over-soft", "over", "ink") +
      ".edgePaths path,.flowchart-link{stroke:var(--edge)!important}.marker{fill:var(--edge)!important;stroke:var(--edge)!important}" +
      ".edgeLabel,.edgeLabel p,.labelBkg{background:var(--paper)!important;color:var(--ink-2)!important;font-size:12px}" +
      ".nodeLabel b{font-size:15px;font-weight:620}.nodeLabel small{color:var(--ink-3);font-size:12px}",
  });
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  // Where lines crowd, a label that lies on another gives way downwards.
  const part = (svg) => {
    const labels = [...svg.querySelectorAll(".edgeLabels > .edgeLabel")].filter((label) => label.textContent.trim());
    const top = (label) => label.getBoundingClientRect().top;
    labels.sort((a, b) => top(a) - top(b)).forEach((label, index) => labels.slice(0, index).forEach((above) => {
      const [mine, its] = [label.getBoundingClientRect(), above.getBoundingClientRect()];
      const moved = label.transform.baseVal.numberOfItems && meet(mine, its) && label.transform.baseVal.getItem(0);
      if (moved) moved.setTranslate(moved.matrix.e, moved.matrix.f + (its.bottom - mine.top) / svg.getScreenCTM().a);
    }));
  };
  const middle = (element) => { const box = element.getBoundingClientRect(); return (box.left + box.right) / 2; };
  mermaid.run().then(() => document.querySelectorAll(".chart .scroll").forEach((box) => {
    part(box.querySelector("svg"));
    box.scrollLeft += middle(box.querySelector(".node")) - middle(box);
  }));
}
