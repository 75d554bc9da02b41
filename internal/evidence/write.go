package evidence

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"slices"
)

// write writes the files of the package.
func (p *population) write(ctx context.Context, out *output) error {
	if err := p.nameGaps(); err != nil {
		return err
	}
	p.kinds = map[string]int{}
	if err := out.write("population.csv", func(w *bufio.Writer) error { return p.writeRows(ctx, w, p.order) }); err != nil {
		return err
	}
	samples := p.samples()
	if err := out.write("samples.csv", func(w *bufio.Writer) error { return p.writeRows(ctx, w, samples) }); err != nil {
		return err
	}
	if err := out.write("exceptions.csv", func(w *bufio.Writer) error { return p.writeExceptions(ctx, w) }); err != nil {
		return err
	}
	ipe := p.ipe(len(samples))
	for name, fill := range map[string]func(*bufio.Writer) error{
		"ipe.json":     func(w *bufio.Writer) error { return writeJSON(w, ipe) },
		"oscal.json":   func(w *bufio.Writer) error { return writeJSON(w, p.oscal(ipe)) },
		"controls.csv": writeControls,
		"report.html":  func(w *bufio.Writer) error { return p.page(w, ipe) },
	} {
		if err := out.write(name, fill); err != nil {
			return err
		}
	}
	return nil
}

func writeHeader(w *bufio.Writer, names []string) {
	var b bytes.Buffer
	encode(&b, slices.Clone(names))
	_, _ = w.Write(b.Bytes()) // the writer keeps its error
}

func (p *population) writeRows(ctx context.Context, w *bufio.Writer, order []int32) error {
	writeHeader(w, columns())
	for k, i := range order {
		if k%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		row, err := p.row(i)
		if err != nil {
			return err
		}
		_, _ = w.Write(row)
	}
	return nil
}

// writeExceptions writes a row for each exception: the record's id, which exception it is, and the record. What only CloudTrail has
// comes last.
func (p *population) writeExceptions(ctx context.Context, w *bufio.Writer) error {
	header := columns()
	writeHeader(w, slices.Insert(header, 1, "exception"))
	add := func(kind exception, cells []string) {
		for _, name := range kind.names() {
			p.kinds[name]++
			var b bytes.Buffer
			encode(&b, slices.Insert(slices.Clone(cells), 1, name))
			_, _ = w.Write(b.Bytes())
		}
	}
	for k, i := range p.order {
		if k%1000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if p.entries.at(i).odd == 0 {
			continue
		}
		cells, err := p.cells(i)
		if err != nil {
			return err
		}
		for c := range cells {
			cells[c] = fused(cells[c])
		}
		add(p.entries.at(i).odd, cells)
	}
	for _, c := range p.trail.rest(p.config.From, p.config.end()) {
		add(onlyInTrail, c.row())
	}
	return nil
}

// fused undoes what [defused] did to a cell, so that it is not done twice.
func fused(cell string) string {
	if len(cell) > 1 && cell[0] == '\'' && defuse(cell[1:]) == cell {
		return cell[1:]
	}
	return cell
}

// A ticket is a record and its place in the draw.
type ticket struct {
	digest uint64
	i      int32
}

// tickets are the smallest so far, the largest of them first.
type tickets []ticket

func (t tickets) Len() int           { return len(t) }
func (t tickets) Less(a, b int) bool { return t[a].digest > t[b].digest }
func (t tickets) Swap(a, b int)      { t[a], t[b] = t[b], t[a] }
func (t *tickets) Push(x any)        { *t = append(*t, x.(ticket)) }
func (t *tickets) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// samples draws records: those for which SHA-256 of the seed and the id is smallest. Whoever has the population and the seed draws the
// same ones.
func (p *population) samples() []int32 {
	var drawn tickets
	for _, i := range p.order {
		heap.Push(&drawn, ticket{p.entries.at(i).drawn, i})
		if len(drawn) > p.config.Sample {
			heap.Pop(&drawn)
		}
	}
	slices.SortFunc(drawn, func(a, b ticket) int { return cmp.Or(cmp.Compare(a.digest, b.digest), cmp.Compare(a.i, b.i)) })
	var order []int32
	for _, t := range drawn {
		order = append(order, t.i)
	}
	return order
}

// An ipe says how the information was produced: the auditor's question about what an entity hands over.
type ipe struct {
	Version    string         `json:"version"`
	Command    string         `json:"command"`
	From       string         `json:"from"`
	To         string         `json:"to"`
	Sample     int            `json:"sample"`
	Seed       string         `json:"seed"`
	Drawn      int            `json:"drawn"`
	Method     string         `json:"sampling_method"`
	Sources    []source       `json:"sources"`
	CloudTrail []source       `json:"cloudtrail"`
	RowsIn     int            `json:"rows_in"`
	RowsOut    int            `json:"rows_out"`
	Duplicates int            `json:"duplicates"`
	Malformed  int            `json:"malformed"`
	At         []string       `json:"malformed_at"`
	Outside    int            `json:"outside_period"`
	Gaps       []gap          `json:"gaps"`
	Exceptions map[string]int `json:"exceptions"`
}

func (p *population) ipe(drawn int) ipe {
	return ipe{
		Version: p.config.Version, Command: "bitbucket-oidc evidence", From: day(p.config.From), To: day(p.config.To),
		Sample: p.config.Sample, Seed: p.config.Seed, Drawn: drawn,
		Method:  "the records whose SHA-256 of seed and metadata.uid, one right behind the other, is smallest; in its order",
		Sources: append([]source{}, p.sources...), CloudTrail: append([]source{}, p.trail.sources...),
		RowsIn: p.rowsIn, RowsOut: len(p.order), Duplicates: p.duplicates, Malformed: p.malformed, At: append([]string{}, p.malformedAt...),
		Outside: p.outside, Gaps: append([]gap{}, p.gaps...), Exceptions: p.kinds,
	}
}

// nameGaps fills in which commands the gaps are of, and puts them in order.
func (p *population) nameGaps() error {
	for k := range p.gaps {
		cells, err := p.cells(p.gaps[k].first)
		if err != nil {
			return err
		}
		p.gaps[k].Step, p.gaps[k].Command = cells[stepColumn], cells[commandColumn]
	}
	slices.SortFunc(p.gaps, func(a, b gap) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Command, b.Command))
	})
	return nil
}

func writeJSON(w *bufio.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}
