// Package setup turns the identity of a Bitbucket step into the configuration of each cloud that lets in exactly this identity: JSON,
// commands, Terraform. It judges nothing.
package setup

// What an identity alone does not contain becomes a placeholder that a cloud refuses.
const (
	AccountID     = "ACCOUNT_ID"
	ProjectNumber = "PROJECT_NUMBER"
	Pool          = "POOL"
	Provider      = "PROVIDER"
)
