// Package util tells Google's clients where the file lies that names a certificate: nowhere.
package util

// GetConfigFilePathFromEnv returns no path.
func GetConfigFilePathFromEnv() string { return "" }

// GetDefaultConfigFilePath returns no path.
func GetDefaultConfigFilePath() string { return "" }
