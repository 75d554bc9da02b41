package trust

// A Truth is one of three values. With this order, "and" is the smaller of two values and "or" the larger (Kleene's logic), so a value
// that is unknown counts only if no other value decides.
type Truth int

// The values, in their order.
const (
	No Truth = iota
	Unknown
	Yes
)

// TruthOf is a known answer.
func TruthOf(b bool) Truth {
	if b {
		return Yes
	}
	return No
}

// Not is the opposite. The opposite of unknown is unknown.
func (t Truth) Not() Truth { return Yes - t }

// Pointer is the answer as the JSON output has it: null if it is unknown.
func (t Truth) Pointer() *bool {
	if t == Unknown {
		return nil
	}
	b := t == Yes
	return &b
}
