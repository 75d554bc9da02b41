package test

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdPick writes a part of a JSON file to another file.
func cmdPick(ts *testscript.TestScript, neg bool, args []string) {
	affirm(ts, neg, "pick")
	if len(args) != 3 && len(args) != 4 {
		ts.Fatalf("usage: pick FROM PATH TO [NAME]")
	}
	data, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	var value any
	ts.Check(json.Unmarshal(data, &value))
	for _, name := range strings.Split(args[1], "/") {
		value = pick(value, name)
	}
	if value == nil {
		ts.Fatalf("%s has no %s", args[0], args[1])
	}
	if len(args) == 4 {
		value = map[string]any{args[3]: value}
	}
	data, err = json.Marshal(value)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), data, 0o600))
}

// pick is a member of an object, or an item of a list: by its index, or by what one of its members is.
func pick(value any, name string) any {
	switch value := value.(type) {
	case map[string]any:
		return value[name]
	case []any:
		key, want, named := strings.Cut(name, "=")
		for i, item := range value {
			member, _ := item.(map[string]any)
			if named && member[key] == want || !named && strconv.Itoa(i) == name {
				return item
			}
		}
	}
	return nil
}
