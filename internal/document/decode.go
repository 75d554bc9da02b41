package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Decode reads a document of a known kind. It refuses a name that is a known one in other letters, small or capital: the clouds do not
// know it, and package json would take it for the known one, so that a file could show other settings than the cloud has.
func Decode(data []byte, into any) error {
	r := &reader{dec: json.NewDecoder(bytes.NewReader(data)), data: data}
	root, err := r.value(0)
	if err != nil {
		return err
	}
	if err := root.fits(reflect.TypeOf(into)); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return dec.Decode(into)
}

// A misnamed is a name that would be taken for another one.
type misnamed struct{ name, known string }

func (m misnamed) Error() string { return strconv.Quote(m.name) + " must be written " + m.known }

// fits holds the names of n and of what is in it to those of a type.
func (n *Node) fits(t reflect.Type) error {
	var errs []error
	switch t.Kind() {
	case reflect.Pointer:
		return n.fits(t.Elem())
	case reflect.Slice:
		for _, item := range n.Items {
			errs = append(errs, item.fits(t.Elem()))
		}
	case reflect.Struct:
		for _, m := range n.Members {
			errs = append(errs, m.fits(t))
		}
	}
	return errors.Join(errs...)
}

func (m Member) fits(structure reflect.Type) error {
	for i := range structure.NumField() {
		field := structure.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == m.Name:
			return m.Value.fits(field.Type)
		case strings.EqualFold(name, m.Name):
			return misnamed{m.Name, name}
		}
	}
	return nil
}

// ObjectOf reads a document as a JSON object, member by member, so that its kind can be told.
func ObjectOf(data []byte) map[string]json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	return members
}

// HasAny tells whether an object has one of the members.
func HasAny(object map[string]json.RawMessage, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := object[name]; return ok })
}

// Misfit words an error of encoding/json without quoting the document.
func Misfit(err error) error {
	var other misnamed
	if errors.As(err, &other) {
		return other
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		kind, _, _ := strings.Cut(wrong.Value, " ")
		return fmt.Errorf("%s: a JSON %s does not belong there", wrong.Field, kind)
	}
	return errors.New("not the JSON of such a document")
}
