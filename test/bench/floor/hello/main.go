// Command hello prints a line: the least that any Go program takes.
package main

import "fmt"

func main() { fmt.Println("hello") }
