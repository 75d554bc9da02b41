// Command choices prints a line, and is linked with what the pipe chose besides: ECR's client, for Docker logins, and CEL,
// with which check judges conditions.
package main

import (
	"fmt"

	_ "cel.dev/cel-go/cel"
	_ "cel.dev/cel-go/ext"
	_ "github.com/aws/aws-sdk-go-v2/config"
	_ "github.com/aws/aws-sdk-go-v2/service/ecr"
	_ "github.com/aws/aws-sdk-go-v2/service/sts"
	_ "google.golang.org/api/sts/v1"
)

func main() { fmt.Println("hello") }
