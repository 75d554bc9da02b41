package evidence

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"hash/maphash"
	"slices"
	"time"
)

// A population is every record that was read: an index in memory, and the rows in a file.
type population struct {
	config Config
	trail  *trail
	spool  *spool
	seed   maphash.Seed
	loose  []loose

	sources     []source
	entries     entries
	order       []int32 // of the entries in the period, by time
	rowsIn      int
	malformed   int
	malformedAt []string
	duplicates  int
	outside     int
	gaps        []gap
	kinds       map[string]int
}

// An entry is what is kept of a record in memory.
type entry struct {
	millis  int64
	uid     [16]byte // the beginning of its SHA-256: ids may be anything
	digest  uint64   // of its row: a collector may have written the same record in another way
	drawn   uint64   // the beginning of its digest in the draw
	command uint64   // a hash of what distinguishes commands
	at      int64    // of its row in the spool
	length  int32
	number  int32 // its sequence in the command
	odd     exception
	twice   bool
}

// entries are in the order in which they were read, in pieces: no entry is moved when the list grows.
type entries struct {
	pieces [][]entry
	count  int32
}

const pieceBits = 14

func (e *entries) at(i int32) *entry { return &e.pieces[i>>pieceBits][i&(1<<pieceBits-1)] }

func (e *entries) add(one entry) {
	if int(e.count)>>pieceBits == len(e.pieces) {
		e.pieces = append(e.pieces, make([]entry, 0, 1<<pieceBits))
	}
	last := &e.pieces[len(e.pieces)-1]
	*last = append(*last, one)
	e.count++
}

// A gap is numbers that are missing in what one command recorded.
type gap struct {
	Step    string `json:"correlation_uid"`
	Command string `json:"command"`
	Time    string `json:"first_time"`
	Missing []int  `json:"missing"`
	first   int32  // its first entry
}

// maxNamed bounds how many malformed lines are named.
const maxNamed = 100

// sort finds copies, gaps, and the order of what lies in the period.
func (p *population) sort() {
	all := make([]int32, p.entries.count)
	for i := range all {
		all[i] = int32(i)
	}
	at := p.entries.at
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
	p.order = slices.DeleteFunc(all, func(i int32) bool { return !p.within(i) })
	p.outside = len(all) - len(p.order)
	slices.SortFunc(p.order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(at(a).millis, at(b).millis), cmp.Compare(at(a).number, at(b).number), bytes.Compare(at(a).uid[:], at(b).uid[:]))
	})
}

// within reports whether a record lies in the period.
func (p *population) within(i int32) bool {
	millis := p.entries.at(i).millis
	return millis >= p.config.From.UnixMilli() && millis < p.config.end().UnixMilli()
}

// A loose record is a record of AWS without an id that CloudTrail has.
type loose struct {
	i int32 // its entry
	trace
}

// joinSessions joins what has no id in common by the session, each event with one record, and notes what CloudTrail does not know.
func (p *population) joinSessions() {
	slices.SortStableFunc(p.loose, func(a, b loose) int { return cmp.Compare(a.millis, b.millis) })
	for _, l := range p.loose {
		e := p.entries.at(l.i)
		if e.twice || l.session != "" && p.trail.joinSession(l.session, time.UnixMilli(l.millis)) {
			continue
		}
		if l.granted || l.session != "" || len(l.exact) > 0 { // else nothing came back from AWS, if it was reached at all
			e.odd |= notInTrail
		}
	}
}

// findGaps looks at each command of the period by itself, also at records outside of it: a command may begin before it. Commands that
// cannot be distinguished are taken together: each number then occurs at most as often as every smaller number.
func (p *population) findGaps(all []int32) {
	all = slices.Clone(all)
	at := p.entries.at
	slices.SortFunc(all, func(a, b int32) int {
		return cmp.Or(cmp.Compare(at(a).command, at(b).command), cmp.Compare(at(a).millis, at(b).millis), cmp.Compare(a, b))
	})
	for len(all) > 0 {
		n := 1
		for n < len(all) && at(all[n]).command == at(all[0]).command {
			n++
		}
		if missing := missingOf(all[:n], at); len(missing) > 0 && slices.ContainsFunc(all[:n], p.within) {
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

// row reads a row back. It is good until the next one is read.
func (p *population) row(i int32) ([]byte, error) {
	e := p.entries.at(i)
	return p.spool.read(e.at, int(e.length))
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
