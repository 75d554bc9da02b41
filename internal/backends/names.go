package backends

import (
	"bitbucket-oidc/internal/charset"
	"bitbucket-oidc/internal/config"
)

// name is a value that becomes part of a path, a parameter and a line of the log.
func name(v *config.Vars, variable string) string {
	value := v.Text(variable)
	if value != "" && (!charset.Only(value, charset.Visible+" ", 1, 500) || value == "." || value == "..") {
		v.Wrong(variable, value, "a name of 1 to 500 characters that can be printed, of ASCII")
	}
	return value
}

// slug is a name that can stand in a URL as it is.
func slug(v *config.Vars, variable string) string {
	value := v.Text(variable)
	if value != "" && (!charset.Only(value, charset.Word+".-", 1, 200) || value == "." || value == "..") {
		v.Wrong(variable, value, "a name of letters, digits, dots, dashes and underscores")
	}
	return value
}
