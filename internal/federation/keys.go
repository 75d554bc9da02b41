package federation

import "bitbucket-oidc/internal/secret"

// Keys sign requests to AWS.
type Keys struct {
	ID              string // no secret
	Region          string // of the login
	Secret, Session secret.Text
}
