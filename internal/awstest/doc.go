// Package awstest starts emulators of AWS for tests: Dynalite (DynamoDB), Moto
// (CloudWatch, SNS and most others) and Aimock (Bedrock Runtime). Product code never
// imports it.
//
// A server is started on first use, once for a test binary, on a free port of 127.0.0.1. It
// ends with the binary: TestMain calls Run (or goleak.VerifyTestMain with Main), which stops what was
// started; on Linux the kernel ends it also where the test binary is killed. What a server printed is
// part of the failure's text where it does not start.
//
// The npm packages are pinned by the lock file in this folder and installed with "npm ci" into
// .testtools/aws at the repository's root, once for all test binaries; a file lock keeps
// them apart. Moto is a Python program that has to be there (moto_server on PATH). What is
// absent skips the test with a sentence that names what to install.
//
// What the emulators get wrong, so that no test relies on it: Dynalite ignores
// ReturnValuesOnConditionCheckFailure, knows no transactions, no TTL API and no new index
// on an on-demand table. Moto always counts one unit of capacity. Neither throttles, deletes expired
// items, nor lets an index lag. Moto is started with one thread: with several it loses updates.
package awstest
