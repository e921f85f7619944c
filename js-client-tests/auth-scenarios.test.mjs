// Scenarios of authentication and authorization in applications, with the client in Node.
import { authScenarios, noTokenIsLogged } from './auth-scenarios.mjs';
import { Fixture } from './support/fixture.mjs';

authScenarios(Fixture);
noTokenIsLogged();
