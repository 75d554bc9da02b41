package refusal

// A Meaning is a row without its request, for a program that sees only the text of a refusal. Its advice has placeholders for what the
// request would say.
type Meaning struct {
	Status int      `json:"status,omitempty"`
	Code   string   `json:"code,omitempty"`
	Reason string   `json:"reason,omitempty"`
	Texts  []string `json:"texts,omitempty"`
	Means  string   `json:"means"`
	Advice []string `json:"advice"`
}

// Meanings are the rows in their order. about returns a request with placeholders for a row.
func (t Table[T]) Meanings(about func(Row[T]) T) []Meaning {
	all := make([]Meaning, len(t))
	for i, r := range t {
		all[i] = Meaning{r.Status, r.Code, r.Reason, r.Texts, r.Means, []string{}}
		if r.Do != nil {
			all[i].Advice = r.Do(about(r))
		}
	}
	return all
}
