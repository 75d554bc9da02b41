package trust

// A truth is one of three values. The order makes "and" the smaller and "or" the larger of two (Kleene's logic), so that
// something unknown counts only where nothing else decides.
type truth int

const (
	no truth = iota
	unknown
	yes
)

// truthOf is a plain answer.
func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

func (t truth) not() truth { return yes - t }

// pointer is the answer as the JSON output has it: null where it is unknown.
func (t truth) pointer() *bool {
	if t == unknown {
		return nil
	}
	b := t == yes
	return &b
}
