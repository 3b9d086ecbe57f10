#include "cli/cli.h"

int main(int argc, char** argv) { return waggle::Run(argc, argv); }
