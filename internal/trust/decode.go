package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
)

// decode reads a document of a known kind. It refuses a name that is a known one in other letters, small or capital: the clouds do not
// know it, and package json would take it for the known one, so that a file could show other settings than the cloud has.
func decode(data []byte, into any) error {
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
func (n *node) fits(t reflect.Type) error {
	var errs []error
	switch t.Kind() {
	case reflect.Pointer:
		return n.fits(t.Elem())
	case reflect.Slice:
		for _, item := range n.items {
			errs = append(errs, item.fits(t.Elem()))
		}
	case reflect.Struct:
		for _, m := range n.members {
			errs = append(errs, m.fits(t))
		}
	}
	return errors.Join(errs...)
}

func (m member) fits(structure reflect.Type) error {
	for i := range structure.NumField() {
		field := structure.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == m.name:
			return m.value.fits(field.Type)
		case strings.EqualFold(name, m.name):
			return misnamed{m.name, name}
		}
	}
	return nil
}
