package report

import (
	"cmp"
	"fmt"
	"slices"

	"bitbucket-oidc/internal/visible"
)

// Measures of a picture, in pixels. A box holds boxText characters of 12 pixels.
const (
	boxWidth, boxHeight  = 210, 28
	columnGap, rowGap    = 70, 10
	pictureEdge, headRow = 16, 34
	boxText              = 26
)

// A picture is a flow with a place for everything: one column for each layer that occurs, one path for each edge.
type picture struct {
	Width, Height int
	Columns       []column
	Boxes         []box
	Paths         []pathOf
}

type column struct {
	Name string
	X, Y int
}

type box struct {
	Node
	X, Y, TextX, TextY, Width, Height int
	Label, Whole                      string // cut to the width of the box, and whole
}

type pathOf struct {
	Edge
	D string // the path, as SVG writes it
}

// columnNames says what each layer shows.
func columnNames() [layers]string {
	return [layers]string{Step: "Step", Token: "Token", Provider: "Provider", Role: "Role", Account: "Account"}
}

// draw places a flow. The picture depends on the flow alone.
func draw(edges []Edge) picture {
	columns := arrange(edges)
	longest := 0
	for _, nodes := range columns {
		longest = max(longest, len(nodes))
	}
	height := longest * (boxHeight + rowGap)
	p := picture{Height: pictureEdge + headRow + height + pictureEdge}
	at := map[Node]box{}
	for layer, nodes := range columns {
		if len(nodes) == 0 {
			continue
		}
		x := pictureEdge + len(p.Columns)*(boxWidth+columnGap)
		p.Columns = append(p.Columns, column{columnNames()[layer], x, pictureEdge + 12})
		for i, n := range nodes {
			y := pictureEdge + headRow + (2*i+1)*height/(2*len(nodes)) - boxHeight/2 // a short column is spread over the height
			whole := visible.Text(n.Name)
			b := box{Node: n, X: x, Y: y, TextX: x + 8, TextY: y + 18, Width: boxWidth, Height: boxHeight, Label: label(n.Layer, whole), Whole: whole}
			at[n] = b
			p.Boxes = append(p.Boxes, b)
		}
		p.Width = x + boxWidth + pictureEdge
	}
	for _, e := range edges {
		from, to := at[e.From], at[e.To]
		x1, y1, x2, y2 := from.X+boxWidth, from.Y+boxHeight/2, to.X-6, to.Y+boxHeight/2
		bend := (x2 - x1) / 2
		p.Paths = append(p.Paths, pathOf{e, fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2)})
	}
	return p
}

// arrange orders the nodes of each layer so that few edges cross: each node goes to the middle of its neighbours, from the left and then
// from the right.
func arrange(edges []Edge) [layers][]Node {
	var columns [layers][]Node
	for _, e := range edges {
		for _, n := range []Node{e.From, e.To} {
			if !slices.Contains(columns[n.Layer], n) {
				columns[n.Layer] = append(columns[n.Layer], n)
			}
		}
	}
	before, after := map[Node][]Node{}, map[Node][]Node{}
	for _, e := range edges {
		before[e.To], after[e.From] = append(before[e.To], e.From), append(after[e.From], e.To)
	}
	place := map[Node]float64{}
	number := func(nodes []Node) {
		for i, n := range nodes {
			place[n] = float64(i) / float64(len(nodes))
		}
	}
	sort := func(nodes []Node, neighbours map[Node][]Node) {
		middle := map[Node]float64{}
		for _, n := range nodes {
			middle[n] = place[n]
			if all := neighbours[n]; len(all) > 0 {
				sum := 0.0
				for _, other := range all {
					sum += place[other]
				}
				middle[n] = sum / float64(len(all))
			}
		}
		slices.SortStableFunc(nodes, func(a, b Node) int { return cmp.Compare(middle[a], middle[b]) })
		number(nodes)
	}
	for _, nodes := range columns {
		number(nodes)
	}
	const sweeps = 4
	for range sweeps {
		for layer := 1; layer < layers; layer++ {
			sort(columns[layer], before)
		}
		for layer := layers - 2; layer >= 0; layer-- {
			sort(columns[layer], after)
		}
	}
	return columns
}

// merged is a flow with one edge between two nodes. Of several verdicts the worst one counts.
func merged(edges []Edge) []Edge {
	rank := map[string]int{"": 0, "allow": 1, "undecided": 2, "deny": 3}
	var all []Edge
	index := map[[2]Node]int{}
	for _, e := range edges {
		key := [2]Node{e.From, e.To}
		i, known := index[key]
		if !known {
			index[key] = len(all)
			all = append(all, e)
			continue
		}
		if rank[e.Verdict] > rank[all[i].Verdict] {
			all[i].Verdict = e.Verdict
		}
	}
	return all
}

// label cuts a name to the width of a box: a step at the end, because its own name comes first, others in the middle.
func label(layer int, name string) string {
	runes := []rune(name)
	head := boxText / 3
	switch {
	case len(runes) <= boxText:
		return name
	case layer == Step:
		return string(runes[:boxText-1]) + "…"
	}
	return string(runes[:head]) + "…" + string(runes[len(runes)-(boxText-head-1):])
}
