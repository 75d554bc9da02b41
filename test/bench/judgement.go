package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"bitbucket-oidc/test/cloud"
)

// An estate is what an organisation has: an access map, roles, and checkouts. Every twentieth role trusts Bitbucket.
const (
	estateRepositories = 200
	estateEnvironments = 3 // of each repository
	estateTrusting     = 20
	estateCheckouts    = 300
)

const providerPath = "api.bitbucket.org/2.0/workspaces/" + cloud.Workspace + "/pipelines-config/identity/oidc"

// judging are the commands that judge, over files that are made once; without the large ones in a quick run.
func (s *step) judging(large bool) ([]subject, error) {
	estate := filepath.Join(s.dir, "estate")
	if err := os.Mkdir(estate, 0o700); err != nil {
		return nil, err
	}
	var all []subject
	run := func(name id, label string, slow bool, args ...string) {
		all = append(all, subject{id: name, group: groupJudging, label: label, slow: slow,
			prepare: func(string) ([]string, []string, error) {
				return append([]string{filepath.Join(filepath.Dir(s.pipe), "bitbucket-oidc")}, args...), []string{"GOMAXPROCS=1", "TIMEOUT=10m"}, nil
			}})
	}
	run(advisorVersion, "bitbucket-oidc --version", false, "--version")
	file := filepath.Join(estate, "bitbucket-pipelines.yml")
	if err := os.WriteFile(file, []byte(usualPipelines), 0o600); err != nil {
		return nil, err
	}
	run(auditOne, "audit, a usual file", false, "audit", "--no-exit-code", file)
	if !large {
		return all, nil
	}
	checkouts := []string{"audit", "--no-exit-code"}
	for i := range estateCheckouts {
		name := filepath.Join(estate, fmt.Sprintf("bitbucket-pipelines-%d.yml", i))
		if err := os.WriteFile(name, []byte(usualPipelines), 0o600); err != nil {
			return nil, err
		}
		checkouts = append(checkouts, name)
	}
	run(auditMany, fmt.Sprintf("audit, %d files", estateCheckouts), true, checkouts...)
	for _, n := range []int{1_000, 10_000, 100_000} {
		access, roles, err := writeEstate(estate, n)
		if err != nil {
			return nil, err
		}
		run(driftOf(n), fmt.Sprintf("drift, %d roles, %d repositories, one core", n, estateRepositories), true,
			"drift", "--no-exit-code", "--map", access, roles)
		if n == 10_000 {
			run(checkMany, fmt.Sprintf("check, %d roles, one core", n), true, "check", "--no-exit-code",
				"--workspace", cloud.Workspace, "--workspace-uuid", cloud.WorkspaceUUID, "--repository-uuid", cloud.RepositoryUUID, roles)
		}
	}
	return all, nil
}

func driftOf(roles int) id { return id(fmt.Sprintf("drift-%d", roles)) }

// usualPipelines is a file of the size that people write.
const usualPipelines = `image: node:22.11.0
definitions:
  steps:
    - step: &test
        name: Test
        script: [npm ci, npm test]
    - step: &deploy
        name: Deploy
        oidc: true
        script:
          - pipe: docker://ACCOUNT/bitbucket-oidc:1.0.0
            variables: {AWS_OIDC_ROLE_ARN: "arn:aws:iam::123456789012:role/deploy"}
          - . .bitbucket-oidc/env.sh
          - aws s3 sync dist s3://shop
pipelines:
  default:
    - step: *test
  pull-requests:
    '**':
      - step: *test
  branches:
    main:
      - step: *test
      - step: {<<: *deploy, deployment: staging}
      - step: {<<: *deploy, deployment: production, trigger: manual}
`

// writeEstate writes a map and n roles, the same for the same n. Roles are one JSON value a line, as collectors write them, so that
// they need not fit into memory.
func writeEstate(dir string, n int) (access, roles string, err error) {
	r := rand.New(rand.NewPCG(1, 1))
	uuid := func() string {
		return fmt.Sprintf("{%08x-%04x-4%03x-8%03x-%012x}", r.Uint32(), r.Uint32()>>16, r.Uint32()>>20, r.Uint32()>>20, r.Uint64()>>16)
	}
	type repository struct {
		name, uuid   string
		environments []string
	}
	var m strings.Builder
	fmt.Fprintf(&m, "version: 1\nworkspace: {slug: %s, uuid: %q}\nrepositories:\n", cloud.Workspace, cloud.WorkspaceUUID)
	var all []repository
	for i := range estateRepositories {
		one := repository{name: fmt.Sprintf("repository-%d", i), uuid: uuid()}
		fmt.Fprintf(&m, "  %s: {uuid: %q, environments: {", one.name, one.uuid)
		for j := range estateEnvironments {
			one.environments = append(one.environments, uuid())
			fmt.Fprintf(&m, "e%d: %q, ", j, one.environments[j])
		}
		m.WriteString("}}\n")
		all = append(all, one)
	}
	m.WriteString("read: {aws: [\"123456789012\"]}\ngrants:\n")
	var lines strings.Builder
	for i := range n {
		arn := fmt.Sprintf("arn:aws:iam::123456789012:role/r%d", i)
		policy := any(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
			"Effect": "Allow", "Principal": map[string]string{"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}}})
		if i%estateTrusting == 0 {
			one, e := all[r.IntN(len(all))], r.IntN(estateEnvironments)
			fmt.Fprintf(&m, "  - {who: [\"%s/e%d\"], become: [%q], session: 1h}\n", one.name, e, arn)
			policy = trusting(one.uuid + ":" + one.environments[e] + ":*")
		}
		data, err := json.Marshal(map[string]any{
			"RoleName": fmt.Sprintf("r%d", i), "Arn": arn, "MaxSessionDuration": 3600, "AssumeRolePolicyDocument": policy})
		if err != nil {
			return "", "", err
		}
		lines.Write(append(data, '\n'))
	}
	access, roles = filepath.Join(dir, fmt.Sprintf("access-%d.yaml", n)), filepath.Join(dir, fmt.Sprintf("roles-%d.jsonl", n))
	if err := os.WriteFile(access, []byte(m.String()), 0o600); err != nil {
		return "", "", err
	}
	return access, roles, os.WriteFile(roles, []byte(lines.String()), 0o600)
}

func trusting(subject string) any {
	return map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{
		"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
		"Principal": map[string]string{"Federated": "arn:aws:iam::123456789012:oidc-provider/" + providerPath},
		"Condition": map[string]any{
			"StringEquals": map[string]string{providerPath + ":aud": "ari:cloud:bitbucket::workspace/" + strings.Trim(cloud.WorkspaceUUID, "{}")},
			"StringLike":   map[string]string{providerPath + ":sub": subject},
		}}}}
}
