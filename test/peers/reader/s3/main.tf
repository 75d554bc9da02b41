# Terraform keeps its state in S3; where S3 and STS are, the environment says.
terraform {
  backend "s3" {
    bucket         = "peers"
    key            = "peers.tfstate"
    use_path_style = true
  }
}

output "greeting" {
  value = "hello"
}
