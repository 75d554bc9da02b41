package federation

import "bitbucket-oidc/internal/secret"

// Keys sign requests to AWS.
type Keys struct {
	ID              secret.Text // for records and signatures, never for a log
	Region          string      // of the login
	Secret, Session secret.Text
}
