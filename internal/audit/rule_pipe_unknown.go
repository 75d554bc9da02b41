package audit

import (
	"fmt"
	"slices"
	"strings"

	"bitbucket-oidc/internal/finding"
)

func pipeUnknown() finding.Rule {
	return finding.Rule{
		Name: "pipe-unknown", Severity: finding.Warning,
		Finds: "a pipe of Atlassian that is not in the list of known pipes",
		Why:   "Machine-written guides recommend sign-in pipes that do not exist. The list of known pipes may be out of date: look the pipe up.",
		Fix:   "Use one of Atlassian's pipes with `AWS_OIDC_ROLE_ARN`, or this pipe to sign in.",
	}
}

func (r *run) pipeUnknown() {
	known := atlassianPipes()
	for _, s := range r.steps {
		for _, p := range s.pipes {
			if p.owner == "atlassian" && !p.docker && !slices.Contains(known, p.name) && !strings.Contains(p.name, "$") {
				r.report(report{rule: pipeUnknown(), at: p.place, about: p.Name, steps: []*step{s}, message: fmt.Sprintf("No pipe atlassian/%s is known.", p.name)})
			}
		}
	}
}

// atlassianPipes are the pipes of Atlassian, as of 2026-08. A pipe that is missing here costs a warning.
func atlassianPipes() []string {
	return strings.Fields(`
		aws-cloudformation-deploy aws-cloudfront-invalidate aws-code-deploy aws-ecr-push-image aws-ecs-deploy aws-eks-kubectl-run
		aws-elasticbeanstalk-deploy aws-elasticbeanstalk-run aws-elastic-beanstalk-deploy aws-elastic-beanstalk-run aws-lambda-deploy
		aws-s3-deploy aws-sam-deploy azure-aks-deploy azure-aks-helm-deploy azure-arm-deploy azure-cli-run azure-functions-deploy
		azure-storage-deploy azure-vm-linux-script-deploy azure-vmss-linux-script-deploy azure-web-apps-containers-deploy
		azure-web-apps-deploy azure-acr-push-image azure-static-web-apps-deploy bitbucket-build-statistics bitbucket-clear-cache
		bitbucket-list-default-reviewers bitbucket-pipe-release bitbucket-runners-autoscaler bitbucket-trigger-pipeline
		bitbucket-upload-file bitbucket-update-wiki bitbucket-create-pull-request checkstyle-report checkstyle-code-insights-report
		cocoapods-publish docker-publish demo-pipe-bash demo-pipe-python email-notify firebase-deploy ftp-deploy git-secrets-scan
		google-app-engine-deploy google-artifact-registry-push-image google-cloud-functions-deploy google-cloud-run-deploy
		google-cloud-storage-deploy google-gcr-push-image google-gke-kubectl-run heroku-deploy jira-create-issue jira-transition
		jira-release kubectl-run microsoft-teams-notify msteams-notify npm-publish opsgenie-send-alert pagerduty-send-alert pypi-publish
		rsync-deploy runners-autoscaler scp-deploy sftp-deploy slack-notify snyk-scan sonarcloud-scan ssh-run telegram-notify
		trigger-pipeline bitbucket-clean-artifacts self-hosted-runners-autoscaler statuspage-update sync-default-reviewers
		terraform-deploy codefresh-run docker-scan`)
}
