package document

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// A Decoder reads a value in its own way.
type Decoder interface {
	DecodeNode(n *Node) error
}

// Decode reads a value into the variable that into points to, by the names in its json tags. It refuses a name that differs from a known
// name only in upper and lower case: the clouds ignore such a name, and a reader that accepts it would show settings that the cloud does
// not have. Null leaves the variable as it is. Errors name the member and never quote a value.
func (n *Node) Decode(into any) error {
	return n.decode("", reflect.ValueOf(into).Elem())
}

func (n *Node) decode(path string, v reflect.Value) error {
	if n.Kind == Null {
		return nil
	}
	if d, ok := v.Addr().Interface().(Decoder); ok {
		if err := d.DecodeNode(n); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	}
	if v.Type() == reflect.TypeFor[time.Time]() {
		return n.moment(path, v)
	}
	switch {
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return n.decode(path, v.Elem())
	case v.Kind() == reflect.Interface:
		v.Set(reflect.ValueOf(n.Any()))
		return nil
	case v.Kind() == reflect.String && n.Kind == String:
		v.SetString(n.Text)
		return nil
	case v.Kind() == reflect.Bool && n.Kind == Bool:
		v.SetBool(n.Text == "true")
		return nil
	case v.Kind() == reflect.Slice && n.Kind == List:
		return n.list(path, v)
	case v.Kind() == reflect.Map && n.Kind == Object:
		return n.table(path, v)
	case v.Kind() == reflect.Struct && n.Kind == Object:
		return n.structure(path, v)
	}
	return fmt.Errorf("%s: a JSON %s does not belong there", strings.TrimPrefix(path, "."), n.Kind)
}

func (n *Node) moment(path string, v reflect.Value) error {
	t, err := time.Parse(time.RFC3339, n.Text)
	if n.Kind != String || err != nil {
		return fmt.Errorf("%s: not a time", strings.TrimPrefix(path, "."))
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

func (n *Node) list(path string, v reflect.Value) error {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Items), len(n.Items)))
	for i, item := range n.Items {
		if err := item.decode(path, v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) table(path string, v reflect.Value) error {
	v.Set(reflect.MakeMap(v.Type()))
	for _, m := range n.Members {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := m.Value.decode(path+"."+m.Name, value); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(m.Name), value)
	}
	return nil
}

func (n *Node) structure(path string, v reflect.Value) error {
	var errs []error
	for _, m := range n.Members {
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			switch {
			case name == "":
			case name == m.Name:
				errs = append(errs, m.Value.decode(path+"."+name, v.Field(i)))
			case strings.EqualFold(name, m.Name):
				errs = append(errs, errors.New(strconv.Quote(m.Name)+" must be written "+name))
			}
		}
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
