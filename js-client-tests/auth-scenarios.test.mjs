// What applications require of authentication and authorization, with the client in Node.
import { nothingLogged, requirements } from './auth-scenarios.mjs';
import { World } from './support/fixture.mjs';

requirements(World);
nothingLogged();
