package iam

import (
	"testing"

	"bitbucket-oidc/internal/finding/findingtest"
)

func TestRuleFiles(t *testing.T) { findingtest.FileEach(t, Rules()) }
