package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
)

// A read is what a worker makes of a line, or of one of the values in it.
type read struct {
	line   int // of the block, from 0
	record bool
	entry  entry // its place is not known yet
	trace  trace
}

// A job is a block on its way: its lines are read side by side and noted in their order.
type job struct {
	block block
	done  chan *result
}

// A result is what a worker makes of a block. It is used again, with its memory.
type result struct {
	reads []read
	rows  bytes.Buffer // of the records, one after the other
}

// A reading is of one source.
type reading struct {
	traced  bool // CloudTrail is there to join with
	seed    maphash.Seed
	draw    string    // what the samples depend on
	blocks  sync.Pool // of *[]byte
	results sync.Pool // of *result
}

// read reads a source.
func (p *population) read(ctx context.Context, f file) error {
	in, err := open(f, p.config.Stdin)
	if err != nil {
		return err
	}
	r := &reading{traced: len(p.trail.sources) > 0, seed: p.seed, draw: p.config.Seed}
	readErr := r.run(in, func(b block, got *result) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return p.note(&in.source, b.first, got)
	})
	if err := in.close(); readErr == nil && err != nil {
		readErr = unreadable(f.name, err)
	}
	if readErr != nil {
		return readErr
	}
	p.sources = append(p.sources, in.source)
	return nil
}

// run reads the blocks of a source, side by side, and notes each in its turn.
func (r *reading) run(in *input, note func(block, *result) error) error {
	workers := runtime.GOMAXPROCS(0)
	jobs, ordered := make(chan job), make(chan job, 2*workers)
	stop := make(chan struct{})
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			w := newWorker(r)
			for j := range jobs {
				j.done <- w.parse(j.block)
			}
		})
	}
	var readErr error
	working.Go(func() {
		defer close(ordered)
		defer close(jobs)
		readErr = in.blocks(r.buffer, func(b block) bool {
			j := job{b, make(chan *result, 1)}
			select {
			case jobs <- j:
				ordered <- j
				return true
			case <-stop:
				return false
			}
		})
	})
	var err error
	for j := range ordered {
		got := <-j.done
		if err == nil {
			if err = note(j.block, got); err != nil {
				close(stop)
			}
		}
		r.results.Put(got)
		r.blocks.Put(&j.block.data)
	}
	working.Wait()
	if err == nil && readErr != nil {
		err = unreadable(in.name, readErr)
	}
	return err
}

func (r *reading) buffer() []byte {
	if b, ok := r.blocks.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, blockSize)
}

// A worker reads one block after the other, into the same memory.
type worker struct {
	*reading
	line  line
	cells []string
	text  []byte
}

func newWorker(r *reading) *worker { return &worker{reading: r} }

func (w *worker) parse(b block) *result {
	got, ok := w.results.Get().(*result)
	if !ok {
		got = &result{}
	}
	got.reads = got.reads[:0]
	got.rows.Reset()
	rows := csv.NewWriter(&got.rows)
	number := -1
	for data := range b.lines {
		number++
		switch {
		case len(data) == 0:
		case w.line.parse(data):
			got.reads = append(got.reads, w.note(number, got, rows))
		default:
			for _, inner := range carried(data) {
				if w.line.parse(inner) {
					got.reads = append(got.reads, w.note(number, got, rows))
				} else {
					got.reads = append(got.reads, read{line: number})
				}
			}
		}
	}
	return got
}

// note makes a row of the record that was just parsed.
func (w *worker) note(number int, got *result, rows *csv.Writer) read {
	one := read{line: number, record: true, entry: w.entry()}
	if w.traced {
		one.trace = w.line.trace()
	}
	before := got.rows.Len()
	w.cells = w.line.row(w.cells[:0])
	_ = rows.Write(defused(w.cells)) // into memory
	rows.Flush()
	row := got.rows.Bytes()[before:]
	one.entry.length, one.entry.digest = int32(len(row)), maphash.Bytes(w.seed, row)
	return one
}

// entry is the index's part of a record.
func (w *worker) entry() entry {
	l := &w.line
	e := entry{millis: l.Time, number: int32(max(0, min(l.Metadata.Sequence, maxNumber+1))), odd: l.odd()}
	w.text = append(w.text[:0], l.Metadata.UID...)
	sum := sha256.Sum256(w.text)
	copy(e.uid[:], sum[:])
	w.text = append(append(w.text[:0], w.draw...), l.Metadata.UID...)
	sum = sha256.Sum256(w.text)
	e.drawn = binary.BigEndian.Uint64(sum[:])
	w.text = w.text[:0]
	for _, part := range []string{l.Metadata.Correlation, l.command(), l.Unmapped["command.uid"]} {
		w.text = append(append(w.text, part...), '\n')
	}
	sum = sha256.Sum256(w.text)
	e.command = binary.LittleEndian.Uint64(sum[:])
	return e
}

// note adds the lines of a block to the index.
func (p *population) note(s *source, first int, got *result) error {
	rows := got.rows.Bytes()
	for _, r := range got.reads {
		p.rowsIn++
		s.Lines++
		if !r.record {
			p.malformed++
			if len(p.malformedAt) < maxNamed {
				p.malformedAt = append(p.malformedAt, fmt.Sprintf("%s:%d", s.Path, first+r.line))
			}
			continue
		}
		e := r.entry
		if r.trace.asked && !p.trail.join(r.trace) {
			p.loose = append(p.loose, loose{p.entries.count, r.trace})
		}
		s.saw(e.millis)
		var err error
		if e.at, err = p.spool.append(rows[:e.length]); err != nil {
			return err
		}
		rows = rows[e.length:]
		p.entries.add(e)
	}
	return nil
}
