// Command libraries prints a line, and is linked with the clouds' libraries that the pipe is bound to use: what they take
// before main begins.
package main

import (
	"fmt"

	_ "github.com/aws/aws-sdk-go-v2/config"
	_ "github.com/aws/aws-sdk-go-v2/service/sts"
	_ "google.golang.org/api/sts/v1"
)

func main() { fmt.Println("hello") }
