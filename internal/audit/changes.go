package audit

import (
	"slices"
	"strings"

	"bitbucket-oidc/internal/pattern"
)

// change is where the step first changes something, or nil.
func (s *step) change() *place {
	for _, c := range s.commands {
		if text := c.Text(); (changes.MatchString(text) || uploads(text)) && !harmless.MatchString(text) {
			return &c.at
		}
	}
	for _, p := range s.pipes {
		if changingPipe.MatchString(p.name) {
			return &p.place
		}
	}
	if changingName.MatchString(s.Name) && !plans.MatchString(s.Name) {
		return &s.src.Place
	}
	return nil
}

// between matches options, with or without a value, between a client and its command: aws --region eu-west-1 s3 sync.
const between = `(?: -\S+(?: [^-\s]\S*)?)*? `

var (
	changes = pattern.New(`\b(?:terraform|tofu|terragrunt)(?::\S+)?` + between + `(?:run-all |(?:run|stack|stack run)` + between + `)?(?:apply|destroy)(?: |$)` +
		`|\bpulumi` + between + `(?:up|destroy)(?: |$)|\b(?:cdk|cdktf|sam|sls|serverless|cargo lambda|faas-cli|firebase)(?:@\S+)?` + between + `deploy(?: |$)` +
		`|\bhelm` + between + `(?:upgrade|install)(?: |$)|\bkubectl` + between + `(?:apply|set|rollout|delete)(?: |$)` +
		`|\baws` + between + `s3` + between + `rm\b.*\bs3://|\baws` + between + `cloudformation` + between + `(?:deploy|create|update|delete)` +
		`|\baws` + between + `ecs` + between + `(?:update-service|register-task-definition|run-task)|\becs deploy\b|\baws` + between + `lambda` + between + `(?:update|publish)` +
		`|\baws` + between + `cloudfront` + between + `create-invalidation|\bdocker` + between + `(?:image )?push(?: |$)|\bdocker (?:buildx )?build\b.* --push\b` +
		`|\bgcloud` + between + `(?:\w+ )?(?:run|app|functions) (?:\S+ )?deploy(?: |$)`)
	transfer     = pattern.New(`\b(?:aws` + between + `s3` + between + `(?:cp|sync|mv)|(?:gsutil|gcloud` + between + `storage)` + between + `(?:cp|rsync)) (.*)`)
	harmless     = pattern.New(`^(?:echo|printf|#)|--dry-?run\b|--dryrun\b| --?help\b|rollout (?:status|history)`)
	changingPipe = pattern.New(`(?i)(?:^|[-_])(?:deploy|push|publish|run)(?:$|[-_])`)
	changingName = pattern.New(`(?i)\b(?:deploy|deploys|deployment|release|publish|promote|apply|rollback|destroy|delete)\b`)
	plans        = pattern.New(`(?i)\b(?:plan|diff|preview|test|check|dry[- ]?run|validate|validation)s?\b|\bnotes\b`)
)

// uploads reports whether a command copies towards a bucket: a bucket is its last path.
func uploads(text string) bool {
	m := transfer.FindStringSubmatch(text)
	if m == nil {
		return false
	}
	words := strings.Fields(m[1])
	slices.Reverse(words)
	for i, w := range words {
		if strings.HasPrefix(w, "s3://") || strings.HasPrefix(w, "gs://") {
			return i == 0 || strings.HasPrefix(words[i-1], "-") && words[i-1] != "-"
		}
	}
	return false
}
