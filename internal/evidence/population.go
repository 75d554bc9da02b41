package evidence

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/csv"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A population is every record that was read: an index in memory, and the rows in a file.
type population struct {
	config Config
	trail  *trail
	spool  *spool

	sources     []source
	entries     []entry
	order       []int32 // of the entries in the period, by time
	rowsIn      int
	malformed   int
	malformedAt []string
	duplicates  int
	outside     int
	gaps        []gap
	kinds       map[string]int
	seed        maphash.Seed
}

// An entry is what is kept of a record in memory.
type entry struct {
	millis  int64
	uid     [16]byte // the beginning of its SHA-256: ids may be anything
	digest  uint64   // of the whole line
	command uint64   // of what tells commands apart
	at      int64    // of its row in the spool
	length  int32
	number  int32 // its sequence in the command
	odd     exception
	twice   bool
}

// A gap is numbers that are missing in what one command recorded.
type gap struct {
	Step    string `json:"correlation_uid"`
	Command string `json:"command"`
	Time    string `json:"first_time"`
	Missing []int  `json:"missing"`
	first   int32  // its first entry
}

// A read is what a worker makes of a line.
type read struct {
	line  *line // nil for what is no record
	entry entry
	row   []byte
	blank bool
}

// maxNamed bounds how many malformed lines are named.
const maxNamed = 100

// read reads a source. The lines are read side by side and noted in their order.
func (p *population) read(ctx context.Context, name string) error {
	in, err := open(name)
	if err != nil {
		return err
	}
	if p.entries == nil {
		p.seed = maphash.MakeSeed()
	}
	type job struct {
		block  block
		result chan []read
	}
	workers := runtime.GOMAXPROCS(0)
	jobs, ordered := make(chan job), make(chan job, 2*workers)
	done := make(chan struct{})
	defer close(done)
	for range workers {
		go func() {
			for j := range jobs {
				j.result <- p.parse(j.block)
			}
		}()
	}
	var readErr error
	go func() {
		defer close(ordered)
		defer close(jobs)
		readErr = in.blocks(func(b block) bool {
			j := job{b, make(chan []read, 1)}
			select {
			case ordered <- j:
			case <-done:
				return false
			}
			select {
			case jobs <- j:
			case <-done:
				j.result <- nil
				return false
			}
			return ctx.Err() == nil
		})
	}()
	for j := range ordered {
		for i, r := range <-j.result {
			if err := p.note(&in.source, j.block.first+i, r); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		readErr = ctx.Err()
	}
	if readErr != nil {
		_ = in.close()
		return unreadable(name, readErr)
	}
	if err := in.close(); err != nil {
		return unreadable(name, err)
	}
	p.sources = append(p.sources, in.source)
	return nil
}

func (p *population) parse(b block) []read {
	all := make([]read, len(b.lines))
	for i, data := range b.lines {
		data = bytes.TrimSpace(data)
		r := &all[i]
		if r.blank = len(data) == 0; r.blank {
			continue
		}
		var ok bool
		if r.line, ok = parse(data); !ok {
			r.line = nil
			continue
		}
		l := r.line
		sum := sha256.Sum256([]byte(l.Metadata.UID))
		r.entry = entry{millis: l.Time, digest: maphash.Bytes(p.seed, data), number: int32(l.Metadata.Sequence), odd: l.odd()}
		copy(r.entry.uid[:], sum[:])
		command := sha256.Sum256([]byte(strings.Join([]string{l.Metadata.Correlation, l.Metadata.Product.Feature.Name, l.Unmapped["command.uid"]}, "\n")))
		r.entry.command = binary.LittleEndian.Uint64(command[:])
		var row bytes.Buffer
		encode(&row, l.row())
		r.row = row.Bytes()
	}
	return all
}

// note adds a line to the index.
func (p *population) note(s *source, number int, r read) error {
	if r.blank {
		return nil
	}
	p.rowsIn++
	s.Lines++
	if r.line == nil {
		p.malformed++
		if len(p.malformedAt) < maxNamed {
			p.malformedAt = append(p.malformedAt, fmt.Sprintf("%s:%d", s.Path, number))
		}
		return nil
	}
	e := r.entry
	if !p.trail.join(r.line) {
		e.odd |= notInTrail
	}
	at := stamp(e.millis)
	if s.First == "" || at < s.First {
		s.First = at
	}
	s.Last = max(s.Last, at)
	var err error
	if e.at, err = p.spool.append(r.row); err != nil {
		return err
	}
	e.length = int32(len(r.row))
	p.entries = append(p.entries, e)
	return nil
}

// sort finds copies, gaps, and the order of what lies in the period.
func (p *population) sort() {
	all := make([]int32, len(p.entries))
	for i := range all {
		all[i] = int32(i)
	}
	at := func(i int32) *entry { return &p.entries[i] }
	slices.SortFunc(all, func(a, b int32) int {
		return cmp.Or(bytes.Compare(at(a).uid[:], at(b).uid[:]), cmp.Compare(at(a).millis, at(b).millis), cmp.Compare(a, b))
	})
	for k := 1; k < len(all); k++ {
		first, next := at(all[k-1]), at(all[k])
		if first.uid != next.uid {
			continue
		}
		next.twice = true
		p.duplicates++
		if first.digest != next.digest {
			next.odd |= conflicting
		}
	}
	for k := len(all) - 1; k > 0; k-- { // what a copy conflicts with is the one that stays
		if first, next := at(all[k-1]), at(all[k]); first.uid == next.uid {
			first.odd |= next.odd & conflicting
		}
	}
	all = slices.DeleteFunc(all, func(i int32) bool { return at(i).twice })
	p.findGaps(all)
	from, end := p.config.From.UnixMilli(), p.config.end().UnixMilli()
	p.order = slices.DeleteFunc(all, func(i int32) bool {
		out := at(i).millis < from || at(i).millis >= end
		if out {
			p.outside++
		}
		return out
	})
	slices.SortFunc(p.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(at(a).millis, at(b).millis), bytes.Compare(at(a).uid[:], at(b).uid[:]))
	})
}

// findGaps looks at each command by itself, also at what lies outside of the period: a command may begin before it. Commands that
// cannot be told apart are taken together: of their numbers, none is there more often than a smaller one.
func (p *population) findGaps(all []int32) {
	all = slices.Clone(all)
	at := func(i int32) *entry { return &p.entries[i] }
	slices.SortFunc(all, func(a, b int32) int {
		return cmp.Or(cmp.Compare(at(a).command, at(b).command), cmp.Compare(at(a).millis, at(b).millis), cmp.Compare(a, b))
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && at(all[n]).command == at(all[0]).command {
			n++
		}
		if missing := missingOf(all[:n], at); len(missing) > 0 {
			e := at(all[0])
			p.gaps = append(p.gaps, gap{Time: stamp(e.millis), Missing: missing, first: all[0]})
		}
		all = all[n:]
	}
}

// maxNumber bounds the sequence numbers that are looked at: no command has as many targets.
const maxNumber = 10_000

func missingOf(command []int32, at func(int32) *entry) []int {
	counts := map[int]int{}
	last := 0
	for _, i := range command {
		if n := int(at(i).number); n > 0 && n <= maxNumber {
			counts[n]++
			last = max(last, n)
		}
	}
	var missing []int
	most := 0
	for n := last; n > 0; n-- {
		for range most - counts[n] {
			missing = append(missing, n)
		}
		most = max(most, counts[n])
	}
	slices.Sort(missing)
	return missing
}

// row reads a row back.
func (p *population) row(i int32) ([]byte, error) {
	e := p.entries[i]
	data := make([]byte, e.length)
	return data, p.spool.readAt(data, e.at)
}

// cells are those of a row.
func (p *population) cells(i int32) ([]string, error) {
	data, err := p.row(i)
	if err != nil {
		return nil, err
	}
	return csv.NewReader(bytes.NewReader(data)).Read()
}

// exceptions is how many there are.
func (p *population) exceptions() int {
	n := 0
	for _, count := range p.kinds {
		n += count
	}
	return n
}

func day(t time.Time) string { return t.Format(time.DateOnly) }
