package guard

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// ParseInput reads an input as JSON. A field that does not exist is an error: a test of a rule must not test nothing.
func ParseInput(data []byte) (Input, error) {
	var in Input
	return in, strict(data, &in)
}

// strict decodes one JSON value and refuses fields that do not exist.
func strict(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value")
	}
	return nil
}
