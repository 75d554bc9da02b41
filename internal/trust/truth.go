package trust

// A Truth is one of three values. The order makes "and" the smaller and "or" the larger of two (Kleene's logic), so that
// something unknown counts only where nothing else decides.
type Truth int

const (
	No Truth = iota
	Unknown
	Yes
)

// TruthOf is a plain answer.
func TruthOf(b bool) Truth {
	if b {
		return Yes
	}
	return No
}

func (t Truth) Not() Truth { return Yes - t }

// Pointer is the answer as the JSON output has it: null where it is unknown.
func (t Truth) Pointer() *bool {
	if t == Unknown {
		return nil
	}
	b := t == Yes
	return &b
}
