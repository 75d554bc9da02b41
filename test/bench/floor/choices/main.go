// Command choices prints a line, and is linked with what the pipe chose besides: ECR's clients, for Docker logins.
package main

import (
	"fmt"

	_ "github.com/aws/aws-sdk-go-v2/config"
	_ "github.com/aws/aws-sdk-go-v2/service/ecr"
	_ "github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	_ "github.com/aws/aws-sdk-go-v2/service/sts"
	_ "google.golang.org/api/sts/v1"
)

func main() { fmt.Println("hello") }
