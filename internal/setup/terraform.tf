resource "aws_iam_openid_connect_provider" "bitbucket" {
  url            = <issuer>
  client_id_list = [<audience>]
}

resource "aws_iam_role" "bitbucket" {
  name                 = <role>
  max_session_duration = <session-seconds>
  assume_role_policy = jsonencode({
    "Version" : "2012-10-17",
    "Statement" : [
      {
        "Effect" : "Allow",
        "Principal" : {
          "Federated" : <provider-arn>
        },
        "Action" : "sts:AssumeRoleWithWebIdentity",
        "Condition" : {
          <audience-operator> : {
            <audience-key> : <audience>
          },
          "StringLike" : {
            <subject-key> : <subject-pattern>
          }
        }
      }
    ]
  })
}

resource "google_iam_workload_identity_pool" "bitbucket" {
  workload_identity_pool_id = <pool>
}

resource "google_iam_workload_identity_pool_provider" "bitbucket" {
  workload_identity_pool_id          = google_iam_workload_identity_pool.bitbucket.workload_identity_pool_id
  workload_identity_pool_provider_id = <provider>
  attribute_mapping = {
    "attribute.deployment"      = <attribute.deployment>
    "attribute.repository_uuid" = <attribute.repository_uuid>
    "google.subject"            = <google.subject>
  }
  attribute_condition = <condition>

  oidc {
    issuer_uri        = <issuer>
    allowed_audiences = [<audience>]
  }
}

data "google_service_account" "bitbucket" {
  account_id = <service-account>
}

resource "google_service_account_iam_member" "bitbucket" {
  service_account_id = data.google_service_account.bitbucket.name
  role               = "roles/iam.workloadIdentityUser"
  member             = <member>
}
