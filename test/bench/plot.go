package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Measures of the plot, in pixels.
const (
	plotWidth  = 860
	plotLeft   = 330 // where the axis begins
	plotRight  = 770 // where it ends; values stand behind it
	plotTop    = 84
	rowHeight  = 24
	groupSpace = 34
)

// plotStyle paints its own ground, because a page in the dark may show the plot to a reader whose system is light.
const plotStyle = `
    text { font: 13px system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; fill: #3d444d; }
    .ground { fill: #ffffff; }
    .title { font-size: 16px; font-weight: 600; fill: #1f2328; }
    .group { font-weight: 600; fill: #1f2328; }
    .axis { font-size: 12px; fill: #59636e; }
    .grid { stroke: #d1d9e0; stroke-width: 1; }
    .range { stroke: #818b98; stroke-width: 4; stroke-linecap: round; }
    .dot { fill: #59636e; stroke: #ffffff; stroke-width: 1.5; }
    .own text { font-weight: 600; fill: #0b57b0; }
    .own .range { stroke: #7db4f5; }
    .own .dot { fill: #0b57b0; }
    @media (prefers-color-scheme: dark) {
      text { fill: #c3cad2; }
      .ground { fill: #0d1117; }
      .title, .group { fill: #f0f6fc; }
      .axis { fill: #9198a1; }
      .grid { stroke: #30363d; }
      .range { stroke: #656c76; }
      .dot { fill: #b7bdc8; stroke: #0d1117; }
      .own text { fill: #79b8ff; }
      .own .range { stroke: #2f6fbf; }
      .own .dot { fill: #79b8ff; }
    }
`

// A scale is logarithmic, or nobody would see both a program that starts and one that takes a second.
type scale struct{ low, high float64 } // milliseconds

// scaleOf begins and ends at powers of ten around everything that is drawn.
func scaleOf(rows []row) scale {
	s := scale{low: math.Inf(1), high: math.Inf(-1)}
	for _, line := range rows {
		if line.n > 0 {
			s.low, s.high = min(s.low, line.wall.least/1e6), max(s.high, line.wall.ninety/1e6)
		}
	}
	if math.IsInf(s.low, 1) {
		return scale{1, 10}
	}
	low, high := math.Floor(math.Log10(s.low)), math.Ceil(math.Log10(s.high))
	return scale{math.Pow(10, low), math.Pow(10, max(high, low+1))}
}

func (s scale) x(nanoseconds float64) float64 {
	share := math.Log(nanoseconds/1e6/s.low) / math.Log(s.high/s.low)
	return plotLeft + share*(plotRight-plotLeft)
}

// svg draws the wall time of every process: a dot at the median, a line from the least to the 90th percentile.
func (r report) svg() string {
	s := scaleOf(r.rows)
	var body strings.Builder
	y := plotTop
	for _, group := range groups() {
		rows := r.inGroup(group)
		y += groupSpace - rowHeight
		fmt.Fprintf(&body, "  <text class=\"group\" x=\"20\" y=\"%d\">%s</text>\n", y+5, html.EscapeString(group))
		y += rowHeight
		for _, line := range rows {
			body.WriteString(line.svg(s, y))
			y += rowHeight
		}
	}
	height := y + 16

	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"
  role="img" aria-labelledby="title about">
  <title id="title">Wall time of each process</title>
  <desc id="about">%s</desc>
  <style>%s  </style>
  <rect class="ground" width="%d" height="%d" rx="6"/>
  <text class="title" x="20" y="30">Wall time of the whole process</text>
  <text class="axis" x="20" y="50">Dot: median. Line: least to 90th percentile. Logarithmic scale. %s, %d cores.</text>
`, plotWidth, height, plotWidth, height, html.EscapeString(r.describePlot()), plotStyle, plotWidth, height,
		html.EscapeString(r.machine.cpu), r.machine.cores)
	for mark := s.low; mark < s.high*1.5; mark *= 10 {
		x := s.x(mark * 1e6)
		fmt.Fprintf(&b, "  <line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", x, plotTop-8, x, height-16)
		fmt.Fprintf(&b, "  <text class=\"axis\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g ms</text>\n", x, plotTop-14, mark)
	}
	b.WriteString(body.String())
	b.WriteString("</svg>\n")
	return b.String()
}

func (line row) svg(s scale, y int) string {
	class := "other"
	if strings.HasPrefix(line.label, "pipe ") {
		class = "own"
	}
	label := fmt.Sprintf("<text x=\"32\" y=\"%d\">%s</text>", y+5, html.EscapeString(line.label))
	if line.n == 0 {
		return fmt.Sprintf("  <g class=%q>%s<text x=\"%d\" y=\"%d\">not measured</text></g>\n", class, label, plotLeft+8, y+5)
	}
	return fmt.Sprintf("  <g class=%q>%s<line class=\"range\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>"+
		"<circle class=\"dot\" cx=\"%.1f\" cy=\"%d\" r=\"5\"/><text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text></g>\n",
		class, label, s.x(line.wall.least), y, s.x(line.wall.ninety), y,
		s.x(line.wall.median), y, plotWidth-16, y+5, formatDuration(line.wall.median))
}

// describePlot describes what the plot shows.
func (r report) describePlot() string {
	var parts []string
	for _, line := range r.rows {
		if line.n > 0 {
			parts = append(parts, fmt.Sprintf("%s, %s: %s", line.group, line.label, formatDuration(line.wall.median)))
		}
	}
	return "Medians. " + strings.Join(parts, "; ") + "."
}
