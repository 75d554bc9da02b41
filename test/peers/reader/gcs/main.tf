# Terraform keeps its state in Cloud Storage; where that is, the environment says.
terraform {
  backend "gcs" {
    bucket = "peers"
  }
}
